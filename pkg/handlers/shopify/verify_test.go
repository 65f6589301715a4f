package shopify_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/shopify"
)

const signatureHeader = "X-Shopify-Hmac-Sha256"

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Refusals(t, install(t, ""), handlerstest.Scheme{
		Sample: "orders/create", Header: signatureHeader, Secret: "clientSecret", Undated: true,
		Also: map[string]func(*events.Request){
			"two signatures": func(r *events.Request) { r.Header.Add(signatureHeader, "AAAA") },
			"signatures of both ages": func(r *events.Request) {
				r.Header.Set("Shopify-Hmac-Sha256", r.Header.Get(signatureHeader))
			},
			"a short signature": func(r *events.Request) {
				r.Header.Set(signatureHeader, base64.StdEncoding.EncodeToString([]byte("short")))
			},
			"another store":      func(r *events.Request) { r.Header.Set("X-Shopify-Shop-Domain", "other.myshopify.com") },
			"a store's namesake": func(r *events.Request) { r.Header.Set("X-Shopify-Shop-Domain", "acme.myshopify.com.example") },
		},
	})
}

func TestVerifyTakesTheNewerHeaders(t *testing.T) {
	t.Parallel()
	kit := install(t, "")
	r := kit.Sample("orders/create", sampleArgs())
	newer := &events.Request{Method: r.Method, Path: r.Path, Body: r.Body, Header: http.Header{}}
	for name := range r.Header {
		if rest, ok := cutPrefix(name); ok {
			newer.Header.Set("Shopify-"+rest, r.Header.Get(name))
		}
	}
	o := kit.Webhook(newer)
	if o.Err != nil || o.Refused != nil || o.Parts[0].ID != "0TEST1" || len(o.Events) != 1 {
		t.Errorf("outcome is %+v", o)
	}
	newer.Header.Set("Shopify-Shop-Domain", "other.myshopify.com")
	if o := kit.Webhook(newer); o.Refused == nil {
		t.Error("another store was accepted")
	}
}

func cutPrefix(name string) (string, bool) {
	const prefix = "X-Shopify-"
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):], true
	}
	return "", false
}

func TestSamplesAreTaken(t *testing.T) {
	t.Parallel()
	handlerstest.Samples(t, install(t, ""))
}

func TestVectors(t *testing.T) {
	t.Parallel()
	handlerstest.Vectors(t, shopify.Integration, func(v handlerstest.Vector) string {
		shop := "acme"
		for name, value := range v.Headers {
			if rest, ok := cutPrefix("X-" + strings.TrimPrefix(http.CanonicalHeaderKey(name), "X-")); ok && rest == "Shop-Domain" {
				shop = value
			}
		}
		return `{"shopName":"` + shop + `","clientSecret":"` + v.Secret + `"}`
	})
}
