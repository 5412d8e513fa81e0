"""Wrappers around the model seam, each with its shape and each in a file of its own.

From the outside in: `Memo(Retry(Limit(model)))`. Every attempt waits for admission; what is remembered is what finally
came out.
"""
