"""`make accuracy`: what integers cost, beside ONNX Runtime, OpenVINO and MXNet, on the same networks and pictures.

Two environments, as for `bench`: `.venv` has mrt, cvm and mxnet; `.venv-bench` has the peers and runs this package.
They meet in files (`build/accuracy/NETWORK/`):

- written by `accuracy.networks`: the float network, the compiled model, pictures, labels, the float network's outputs;
- written by `accuracy.worker`, one process per engine: `outputs/ENGINE/SETTING.npy`, the engine's outputs for the same
  pictures, or `SETTING.txt`, why there are none.

What they mean is found from these arrays alone (`statistics`, `judge`), the same way for every engine.
"""
