package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/console"
)

func (p *program) revocationsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revocations",
		Short: "List, add and undo revocations of tokens",
		Long: "Lists the revocations that a running server knows, through its operator port: what is revoked, when that " +
			"was\n" +
			"ordered, and when it ends. Revocations that were undone are listed as such until they would have ended.",
		Args: cobra.NoArgs,
	}
	port := p.newOperatorPort(cmd)
	user := cmd.Flags().String("user", "", "only those of the user with this `GUID`")
	tokenID := cmd.Flags().String("jti", "", "only those of the token with this `id`")
	limit := cmd.Flags().Int("limit", 100, "`number` of revocations, the latest ones")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := port.load(); err != nil {
			return err
		}
		query := url.Values{"limit": {strconv.Itoa(*limit)}}
		for key, value := range map[string]string{"user": *user, "jti": *tokenID} {
			if value != "" {
				query.Set(key, value)
			}
		}
		return p.listRevocations(cmd.Context(), port, query)
	}
	cmd.AddCommand(p.revokeCommand(), p.undoCommand())
	return cmd
}

// listRevocations prints a line for each revocation.
func (p *program) listRevocations(ctx context.Context, port *operatorPort, query url.Values) error {
	var list console.RevocationList
	if err := port.do(ctx, http.MethodGet, "/api/revocations", query, "", &list); err != nil {
		return err
	}
	var text []byte
	for i := range list.Revocations {
		text = appendRevocation(text, &list.Revocations[i])
	}
	if list.Matching > len(list.Revocations) {
		text = fmt.Appendf(text, "%d more\n", list.Matching-len(list.Revocations))
	}
	return port.print(p.stdout, text)
}

// appendRevocation appends a line.
func appendRevocation(text []byte, r *token.Revocation) []byte {
	when := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	if r.TokenID != "" {
		text = fmt.Appendf(text, "jti %q", r.TokenID)
	} else {
		text = fmt.Appendf(text, "user %s", r.User)
	}
	switch {
	case r.Undone:
		text = append(text, "  undone"...)
	case r.TokenID != "":
		text = append(text, "  revoked"...)
	case r.Before.IsZero():
		text = append(text, "  revoked: all tokens"...)
	default:
		text = fmt.Appendf(text, "  revoked: tokens before %s", when(r.Before))
	}
	if !r.At.IsZero() {
		text = fmt.Appendf(text, ", ordered %s", when(r.At))
	}
	return fmt.Appendf(text, ", until %s\n", when(r.Until))
}

func (p *program) revokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Revoke a token or the tokens of a user",
		Long: "Revokes, on all nodes, the token with an id, or the tokens of a user that were issued until now. Their " +
			"connections end.",
		Args: cobra.NoArgs,
	}
	port := p.newOperatorPort(cmd)
	user := cmd.Flags().String("user", "", "`GUID` of the user")
	tokenID := cmd.Flags().String("jti", "", "`id` of the token")
	all := cmd.Flags().Bool("all", false, "all tokens of the user, future ones included")
	lifetime := cmd.Flags().Duration(
		"for", 0, "`time` until the revoked tokens have expired; default: auth.revocation_ttl",
	)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if (*user == "") == (*tokenID == "") {
			return usageError{errors.New("want either --user or --jti")}
		}
		if err := port.load(); err != nil {
			return err
		}
		request := map[string]any{}
		if *user != "" {
			request["user"] = *user
		} else {
			request["jti"] = *tokenID
		}
		if *all {
			request["all"] = true
		}
		if *lifetime != 0 {
			request["until"] = time.Now().Add(*lifetime).Unix()
		}
		body, err := json.Marshal(request)
		if err != nil {
			return err
		}
		var answer struct {
			Revocation token.Revocation
			Closed     int
			Nodes      string
			Detail     string
		}
		if err := port.do(cmd.Context(), http.MethodPost, "/api/revoke", nil, string(body), &answer); err != nil {
			return err
		}
		text := appendRevocation(nil, &answer.Revocation)
		text = fmt.Appendf(text, "%s of this node closed\n", connections(answer.Closed))
		return port.print(p.stdout, appendReach(text, answer.Nodes, answer.Detail))
	}
	return cmd
}

func (p *program) undoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "undo",
		Short: "Undo the revocations of a token or of a user",
		Long:  "Makes the token with an id, or the tokens of a user, good again, on all nodes.",
		Args:  cobra.NoArgs,
	}
	port := p.newOperatorPort(cmd)
	user := cmd.Flags().String("user", "", "`GUID` of the user")
	tokenID := cmd.Flags().String("jti", "", "`id` of the token")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if (*user == "") == (*tokenID == "") {
			return usageError{errors.New("want either --user or --jti")}
		}
		if err := port.load(); err != nil {
			return err
		}
		query := url.Values{}
		if *user != "" {
			query.Set("user", *user)
		} else {
			query.Set("jti", *tokenID)
		}
		var answer struct {
			Revocation token.Revocation
			Known      bool
			Nodes      string
			Detail     string
		}
		if err := port.do(cmd.Context(), http.MethodDelete, "/api/revocations", query, "", &answer); err != nil {
			return err
		}
		text := appendRevocation(nil, &answer.Revocation)
		if !answer.Known {
			text = append(text, "this node knew no such revocation\n"...)
		}
		return port.print(p.stdout, appendReach(text, answer.Nodes, answer.Detail))
	}
	return cmd
}

// appendReach appends a line if not all nodes have it.
func appendReach(text []byte, nodes, detail string) []byte {
	if nodes != "all" {
		text = fmt.Appendf(text, "%s\n", detail)
	}
	return text
}
