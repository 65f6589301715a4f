package shopify

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// maxFakeBody is more than any subscription needs.
const maxFakeBody = 1 << 16

// fakeAPI stands in for the webhook subscriptions of a store's Admin API.
type fakeAPI struct {
	mu   sync.Mutex
	last int64
	subs map[int64]subscription
}

func newFake() http.Handler {
	f := &fakeAPI{last: 1_180_000_000_000_000_000, subs: map[int64]subscription{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/api/{version}/webhooks.json", f.list)
	mux.HandleFunc("POST /admin/api/{version}/webhooks.json", f.create)
	mux.HandleFunc("DELETE /admin/api/{version}/webhooks/{file}", f.remove)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Shopify-Access-Token") == "" {
			write(w, http.StatusUnauthorized, object{"errors": "[API] Invalid API key or access token"})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (f *fakeAPI) list(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	query := r.URL.Query()
	found := []subscription{}
	for _, id := range slices.Sorted(maps.Keys(f.subs)) {
		one := f.subs[id]
		if one.Topic == cmp.Or(query.Get("topic"), one.Topic) && one.Address == cmp.Or(query.Get("address"), one.Address) {
			found = append(found, one)
		}
	}
	write(w, http.StatusOK, object{"webhooks": found})
}

func (f *fakeAPI) create(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Webhook subscription `json:"webhook"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxFakeBody)).Decode(&in); err != nil {
		write(w, http.StatusBadRequest, object{"errors": "the body is no JSON"})
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if in.Webhook.Topic == "" || in.Webhook.Address == "" {
		write(w, http.StatusUnprocessableEntity, object{"errors": object{"address": []string{"can't be blank"}}})
		return
	}
	if !slices.Contains(topics, in.Webhook.Topic) {
		write(w, http.StatusUnprocessableEntity, object{"errors": object{"topic": []string{"Invalid topic specified."}}})
		return
	}
	for _, one := range f.subs {
		if one.Topic == in.Webhook.Topic && one.Address == in.Webhook.Address {
			write(w, http.StatusUnprocessableEntity, object{"errors": object{"address": []string{"for this topic has already been taken"}}})
			return
		}
	}
	f.last++
	in.Webhook.ID = f.last
	f.subs[f.last] = in.Webhook
	write(w, http.StatusCreated, object{"webhook": in.Webhook})
}

func (f *fakeAPI) remove(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(strings.TrimSuffix(r.PathValue("file"), ".json"), 10, 64)
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.subs[id]; err != nil || !ok {
		write(w, http.StatusNotFound, object{"errors": "Not Found"})
		return
	}
	delete(f.subs, id)
	write(w, http.StatusOK, object{})
}

func write(w http.ResponseWriter, status int, content object) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(content) // a caller that hung up is no concern of a fake
}
