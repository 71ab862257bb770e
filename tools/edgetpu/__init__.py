"""What Google's Edge TPU compiler makes of a TFLite file, told without the compiler (see tools/edgetpu_check.py)."""
