// Package helpers tests clients/typescript, clients/python and clients/java: the packages as npm, pip and Maven make
// them, and the helpers against the built program through the faults of networks, servers, tokens and Redis. An
// application with the helper runs in Node or in a browser (node/view.mjs), in Python (python/app.py), or in Java
// (java/App.java). After each fault its view must equal what the test has published.
package helpers
