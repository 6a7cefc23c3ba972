"""Functions: the workflows, written with the Inngest SDK and nothing else. Any Inngest engine can drive them."""
