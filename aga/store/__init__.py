"""The store: documents, repository, blobs, queries and the embedded database server."""
