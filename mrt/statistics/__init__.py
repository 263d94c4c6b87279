"""What calibration remembers of tensors and of layers' inputs."""
