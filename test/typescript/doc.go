// Package typescript tests clients/typescript: the package as npm makes it, and the helper against the built program
// through the faults of networks, servers, tokens and Redis. An application with the helper runs in Node or in a
// browser (node/view.mjs). After each fault its view must equal what the test has published.
package typescript
