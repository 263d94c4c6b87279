"""`make bench`: the native runtime beside MXNet, ONNX Runtime and OpenVINO, on the same networks and the same machine.

Two environments: `.venv` has mrt, cvm and mxnet; `.venv-bench` has the peers and runs this package. They meet in files
(`build/bench/NETWORK/`) and in worker processes (`bench.worker`), one per engine.
"""
