//! A stand-in for Microsoft Graph.
