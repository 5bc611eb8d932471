// Package authz answers two questions: who is it (Verifier: a token becomes Claims) and may they (Authorizer: a
// requested subscription becomes a Topic or a refusal). It knows nothing of requests, sessions and Redis.
package authz
