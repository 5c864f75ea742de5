//! Requests and folders that are refused.
