package shopify

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/rest"
)

// apiVersion is the version of the Admin API that is spoken.
const apiVersion = "2026-10"

// subscription is one webhook of a store.
type subscription struct {
	ID      int64  `json:"id,omitempty"`
	Topic   string `json:"topic"`
	Address string `json:"address"`
	Format  string `json:"format,omitempty"`
}

// admin returns a store's Admin API.
func admin(p handlers.Props[Config]) rest.API {
	c := p.Ctx.Configuration
	base := cmp.Or(c.APIURL, "https://"+c.ShopName.Domain())
	return rest.API{
		Name: "Shopify", HTTP: p.HTTP, Refused: refused,
		Base:   strings.TrimSuffix(base, "/") + "/admin/api/" + apiVersion,
		Header: http.Header{"X-Shopify-Access-Token": {c.AccessToken.Reveal()}},
	}
}

// refused reads what the status alone does not say: what to do about it, and
// that a store which is locked may be opened again.
func refused(a *rest.Answer) error {
	switch a.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return a.Error("", "check the access token, and that it has the scopes read_orders and read_customers").Judge()
	case http.StatusLocked:
		return a.Error("", "").Retry()
	case http.StatusNotFound:
		return a.Error("", "404 Not Found; check shopName and apiUrl").Judge()
	}
	return nil
}
