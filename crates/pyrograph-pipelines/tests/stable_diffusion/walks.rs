//! Walks in company.
