"""NVIDIA GPUs through NVML, under dcgm-exporter's names; the library is a constructor argument."""
