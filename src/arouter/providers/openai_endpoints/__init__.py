"""OpenAI's endpoints besides chat, for vendors that have them: requests and answers go on as they are."""
