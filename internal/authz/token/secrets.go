package token

import (
	"errors"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"
)

// secretKeys are the keys of the HS algorithms, and the algorithms that they leave acceptable. They are immutable.
type secretKeys struct {
	secrets    []jwt.VerificationKey // []byte each
	algorithms []string
}

// SetSecrets replaces KeyOptions.Secret and PreviousSecret. From now on, a token that was signed with another secret is
// refused. An error names the option that does not fit; the old secrets stay in force then.
func (v *Verifier) SetSecrets(secret, previous string) error {
	o := &v.options.Keys
	switch {
	case secret == "" && o.PublicKeyFile == "" && len(o.Sets) == 0:
		return errors.New("token: VerifierOptions.Keys.Secret is required where there is no other key")
	case secret == "" && previous != "":
		return errors.New("token: VerifierOptions.Keys.PreviousSecret needs Secret")
	}
	algorithms, err := allowed(o.Algorithms, secret != "", o.PublicKeyFile != "" || len(o.Sets) > 0)
	if err != nil {
		return err
	}
	keys := &secretKeys{algorithms: algorithms}
	for _, text := range []string{secret, previous} {
		if text == "" {
			continue
		}
		if len(text) < shortSecret {
			v.options.Logger.Warn("a token secret is short",
				zap.Int("bytes", len(text)), zap.Int("recommended", shortSecret))
		}
		keys.secrets = append(keys.secrets, []byte(text))
	}
	v.secrets.Store(keys)
	v.forget()
	return nil
}
