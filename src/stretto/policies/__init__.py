"""Wrappers around the model seam, each with its shape and each in a file of its own.

From the outside in: `Memo(Hedge(Fallback(Retry(Breaker(Limit(model))))))`. Every attempt waits for admission; hedging
starts its clock when a request was sent, not when it began to queue; what is remembered is what finally came out.
"""
