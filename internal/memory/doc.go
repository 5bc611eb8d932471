// Package memory knows how much memory the process may take, and whether it takes so much that another client could
// cost the others their node. It imports nothing of ours.
package memory
