// Package helpers tests clients/typescript and clients/python: the packages as npm and pip make them, and the helpers
// against the built program through the faults of networks, servers, tokens and Redis. An application with the helper
// runs in Node or in a browser (node/view.mjs), or in Python (python/app.py). After each fault its view must equal what
// the test has published.
package helpers
