"""New studies through a fine-tuned model: scores, the videos that carried them, and what was refused."""

from echossl.predict.run import predict

__all__ = ["predict"]
