package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/node"
)

func (p *program) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token --user GUID --org GUID",
		Short: "Sign a token with the configured secret and print it",
		Args:  cobra.NoArgs,
	}
	settings := p.newSettings(cmd, false, nil)
	user := cmd.Flags().String("user", "", "`GUID` of the user")
	organization := cmd.Flags().String("org", "", "`GUID` of the organization")
	others := cmd.Flags().StringArray("orgs", nil, "`GUID` of a further organization; may be repeated")
	role := cmd.Flags().String("role", "agent", "`role` of the user: agent, supervisor or service")
	grants := cmd.Flags().StringArray("grant", nil, "permission as `ENTITY[:EVENT]` or :EVENT; may be repeated")
	ttl := cmd.Flags().Duration("ttl", time.Hour, "lifetime of the token")

	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := settings.load(config.CheckSigner)
		if err != nil {
			return err
		}
		claims, err := parseClaims(*user, *organization, *others, *role, *grants)
		if err == nil && *ttl <= 0 {
			err = errors.New("--ttl: must be above 0")
		}
		if err != nil {
			return usageError{err}
		}
		token, err := node.NewSigner(&l.Auth).Sign(claims, *ttl)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
		return err
	}
	return cmd
}

// parseClaims makes claims from flags. Its errors begin with the name of the flag.
func parseClaims(
	user, organization string, others []string, role string, grants []string,
) (claims authz.Claims, err error) {
	if claims.User, err = parseID("--user", user); err != nil {
		return claims, err
	}
	if claims.Organization, err = parseID("--org", organization); err != nil {
		return claims, err
	}
	for _, other := range others {
		id, err := parseID("--orgs", other)
		if err != nil {
			return claims, err
		}
		claims.Organizations = append(claims.Organizations, id)
	}
	if claims.Role, err = token.ParseRole(role); err != nil {
		return claims, fmt.Errorf("--role: %w", err)
	}
	for _, text := range grants {
		grant, err := token.ParseGrant(text)
		if err != nil {
			return claims, fmt.Errorf("--grant: %w", err)
		}
		claims.Grants = append(claims.Grants, grant)
	}
	return claims, nil
}

func parseID(flag, text string) (events.ID, error) {
	id, ok := events.ParseID(text)
	if !ok {
		return id, fmt.Errorf("%s: must be a GUID, such as 0d000000-0000-4000-8000-000000000001", flag)
	}
	return id, nil
}
