"""The graph IR and its MXNet face."""

from mrt.graph.ir import VARIABLE, Array, Graph, Namer, Node, Shape, Value, as_param, origins

__all__ = ["VARIABLE", "Array", "Graph", "Namer", "Node", "Shape", "Value", "as_param", "origins"]
