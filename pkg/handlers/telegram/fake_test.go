package telegram_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// ask sends a request to the fake as any program would.
func ask(t *testing.T, address, contentType, body string) (status int, answer []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	request.Close = true
	response, err := new(http.Client).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

func TestFakeRefusesAsTelegramDoes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("👍", 2049)
	button := func(button string) string {
		return `{"chat_id":1,"text":"a","reply_markup":{"inline_keyboard":[[` + button + `]]}}`
	}
	for name, tc := range map[string]struct {
		path, body string
		status     int
		want       string
	}{
		"no token":                     {"/sendMessage", `{}`, 404, "Not Found"},
		"a token of no form":           {"/botabc/sendMessage", `{}`, 404, "Not Found"},
		"a revoked token":              {"/bot1:revoked/getMe", `{}`, 401, "Unauthorized"},
		"a file for a revoked token":   {"/file/bot1:revoked/a", `{}`, 401, "Unauthorized"},
		"an unknown method":            {"/bot1:a/shout", `{}`, 404, "Not Found: method not found"},
		"no JSON":                      {"/bot1:a/sendMessage", `{`, 400, "Bad Request: can't parse the request"},
		"no chat":                      {"/bot1:a/sendMessage", `{"text":"a"}`, 400, "Bad Request: chat_id is empty"},
		"a chat that is none":          {"/bot1:a/sendMessage", `{"chat_id":"C1","text":"a"}`, 400, "Bad Request: chat not found"},
		"no text":                      {"/bot1:a/sendMessage", `{"chat_id":1}`, 400, "Bad Request: message text is empty"},
		"white space":                  {"/bot1:a/sendMessage", `{"chat_id":1,"text":" \n"}`, 400, "Bad Request: message text is empty"},
		"a long text":                  {"/bot1:a/sendMessage", `{"chat_id":1,"text":"` + long + `"}`, 400, "Bad Request: message is too long"},
		"a long caption":               {"/bot1:a/sendPhoto", `{"chat_id":1,"photo":"p","caption":"` + long + `"}`, 400, "Bad Request: message caption is too long"},
		"no photo":                     {"/bot1:a/sendPhoto", `{"chat_id":1}`, 400, "Bad Request: there is no photo in the request"},
		"no longitude":                 {"/bot1:a/sendLocation", `{"chat_id":1,"latitude":1}`, 400, "Bad Request: longitude is empty"},
		"no address":                   {"/bot1:a/sendVenue", `{"chat_id":1,"latitude":1,"longitude":1,"title":"a"}`, 400, "Bad Request: venue address must be non-empty"},
		"a keyboard that is none":      {"/bot1:a/sendMessage", `{"chat_id":1,"text":"a","reply_markup":7}`, 400, "Bad Request: object expected as reply markup"},
		"a button without a text":      {"/bot1:a/sendMessage", button(`{"url":"https://x"}`), 400, `Bad Request: can't parse inline keyboard button: Field "text" must be of type String`},
		"a button that does nothing":   {"/bot1:a/sendMessage", button(`{"text":"a"}`), 400, "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"},
		"a button to nowhere":          {"/bot1:a/sendMessage", button(`{"text":"a","url":"nowhere"}`), 400, "Bad Request: BUTTON_URL_INVALID"},
		"a button that holds too much": {"/bot1:a/sendMessage", button(`{"text":"a","callback_data":"` + long + `"}`), 400, "Bad Request: BUTTON_DATA_INVALID"},
		"no query":                     {"/bot1:a/answerCallbackQuery", `{}`, 400, "Bad Request: query is too old and response timeout expired or query ID is invalid"},
		"no file":                      {"/bot1:a/getFile", `{}`, 400, "Bad Request: invalid file_id"},
		"a webhook of nowhere":         {"/bot1:a/setWebhook", `{"url":"nowhere"}`, 400, "Bad Request: bad webhook: invalid webhook URL specified"},
		"a webhook in the clear":       {"/bot1:a/setWebhook", `{"url":"http://towpath.example/w"}`, 400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook"},
		"a secret of other letters":    {"/bot1:a/setWebhook", `{"url":"https://towpath.example/w","secret_token":"a b"}`, 400, "Bad Request: secret token contains unallowed characters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			status, body := ask(t, kit.URL+tc.path, "application/json", tc.body)
			got := decoded[struct {
				Code        int    `json:"error_code"`
				Description string `json:"description"`
			}](t, body)
			if status != tc.status || got.Code != tc.status || got.Description != tc.want {
				t.Errorf("got %d %+v, want %d %s", status, got, tc.status, tc.want)
			}
			if kit.Requests()[0].Accepted {
				t.Error("is recorded as accepted")
			}
		})
	}
}

func TestFakeTakesAForm(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for _, body := range []string{"chat_id=1&text=a", ""} {
		status, _ := ask(t, kit.URL+"/bot1:a/sendMessage?chat_id=1", "application/x-www-form-urlencoded", body)
		if (status == http.StatusOK) != (body != "") {
			t.Errorf("%q: %d", body, status)
		}
	}
}
