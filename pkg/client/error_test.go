package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
)

var errorID = regexp.MustCompile(`^err_\d{14}x[0-9A-F]{8}$`)

func TestAnErrorHasTheFieldsThatBotpressRequires(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(client.NotFound("State", "credentials"))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if id, _ := got["id"].(string); !errorID.MatchString(id) {
		t.Errorf("id %q", id)
	}
	delete(got, "id")
	want := map[string]any{"code": 404.0, "type": "ResourceNotFound", "message": `State "credentials" not found`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestErrorIDsDiffer(t *testing.T) {
	t.Parallel()
	if a, b := client.NewError(client.Internal, "x").ID, client.NewError(client.Internal, "x").ID; a == b {
		t.Errorf("two errors have the id %s", a)
	}
}

func TestSentinelsMatchByType(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("getUser: %w", client.NotFound("User", "u"))
	if !errors.Is(err, client.ErrNotFound) || errors.Is(err, client.ErrForbidden) || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v does not match as it should", err)
	}
}

func TestAForeignErrorStaysPrivate(t *testing.T) {
	t.Parallel()
	private := errors.New("password is 123")
	fault := client.AsError(fmt.Errorf("connect: %w", private))
	data, err := json.Marshal(fault)
	if err != nil {
		t.Fatal(err)
	}
	if fault.Type != client.Internal || strings.Contains(string(data)+fault.Error(), "123") {
		t.Errorf("shown: %s %s", fault, data)
	}
	if !errors.Is(fault, private) {
		t.Error("the log cannot reach the cause")
	}
	if own := client.NotFound("User", "u"); client.AsError(fmt.Errorf("x: %w", own)) != own {
		t.Error("an Error did not stay itself")
	}
}

func TestEveryTypeHasItsStatus(t *testing.T) {
	t.Parallel()
	for typ, want := range map[client.ErrorType]int{
		client.Unknown: 500, client.Internal: 500, client.Unauthorized: 401, client.Forbidden: 403, client.PayloadTooLarge: 413,
		client.InvalidPayload: 400, client.UnsupportedMediaType: 415, client.MethodNotFound: 405, client.ResourceNotFound: 404,
		client.ReferenceNotFound: 400, client.InvalidDataFormat: 400, client.InvalidIdentifier: 400, client.InvalidQuery: 400,
		client.RelationConflict: 409, client.AlreadyExists: 409, client.Runtime: 400, client.RateLimited: 429,
		client.OperationTimeout: 504, client.LimitExceeded: 413, "SomethingNew": 500,
	} {
		if got := typ.Status(); got != want {
			t.Errorf("%s has status %d, want %d", typ, got, want)
		}
	}
}
