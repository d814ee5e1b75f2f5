"""Model servers on this host: Ollama, vLLM and LiteLLM, asked in the background over HTTP."""
