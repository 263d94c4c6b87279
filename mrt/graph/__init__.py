"""The graph, which knows no framework."""

from mrt.graph.ir import VARIABLE, Array, Graph, Namer, Node, Shape, Value, as_param, origins, target_operator

__all__ = ["VARIABLE", "Array", "Graph", "Namer", "Node", "Shape", "Value", "as_param", "origins", "target_operator"]
