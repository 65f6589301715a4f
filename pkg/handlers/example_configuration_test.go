package handlers_test

import (
	"encoding/json"
	"fmt"

	"github.com/towpath/towpath/pkg/handlers"
)

// Account is one Go type for every way to configure an installation.
type Account struct {
	Token  handlers.Secret `json:"token"`
	Shop   string          `json:"shop,omitempty"`
	APIURL string          `json:"apiUrl,omitempty"`
}

// Somebody who has no token yet names a shop, and gets the token by OAuth.
func ExampleConfiguration() {
	market := handlers.Integration[Account]{
		Name: "market", Version: "1.0.0", Unverified: true,
		Configurations: map[string]handlers.Configuration{
			"oauth": {Title: "Log in", Fields: []string{"shop", "apiUrl"}, Required: []string{"shop"}},
		},
	}
	try := func(typ, configuration string) {
		_, err := market.ConfigureAs(typ, json.RawMessage(configuration))
		fmt.Printf("%q %s: accepted %t\n", typ, configuration, err == nil)
	}
	try("", `{"token": "t"}`)
	try("", `{"shop": "acme"}`)
	try("oauth", `{"shop": "acme"}`)
	try("oauth", `{"shop": "acme", "token": "t"}`)

	_, err := market.ConfigureAs("manual", nil)
	fmt.Println(err)
	// Output:
	// "" {"token": "t"}: accepted true
	// "" {"shop": "acme"}: accepted false
	// "oauth" {"shop": "acme"}: accepted true
	// "oauth" {"shop": "acme", "token": "t"}: accepted false
	// configuration of market: market has no configuration type "manual"; it has oauth
}
