package dispatch

import (
	"strings"

	"github.com/towpath/towpath/pkg/handlers"
)

// Secrets finds the secrets of integrations in an environment: os.LookupEnv,
// or a test's own.
type Secrets func(name string) (value string, ok bool)

// Of returns the lookup of one integration's secrets: SECRET_<NAME>, as
// Botpress names them, or <INTEGRATION>_SECRET_<NAME> where two integrations
// have secrets of one name. An empty value is no secret.
func (s Secrets) Of(integration string) handlers.SecretLookup {
	prefix := strings.ToUpper(strings.ReplaceAll(integration, "-", "_")) + "_"
	return func(name string) (handlers.Secret, bool) {
		if s == nil {
			return handlers.Secret{}, false
		}
		for _, variable := range []string{prefix + "SECRET_" + name, "SECRET_" + name} {
			if value, ok := s(variable); ok && value != "" {
				return handlers.NewSecret(value), true
			}
		}
		return handlers.Secret{}, false
	}
}
