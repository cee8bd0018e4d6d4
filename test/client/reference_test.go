package client

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/cleave-go/cleave/gen/openapi"
	"github.com/cleave-go/cleave/platform/browsertest"
)

// reference reads the reference page of the shop, and calls the shop from there.
func reference(t *testing.T, browser *browsertest.Browser, url string) {
	page := browser.Open(t, url+"/docs")
	page.CheckAccess(t)

	listed := browsertest.Evaluate[[]string](t, page, `Array.from(document.querySelectorAll("nav li a"), (a) => a.hash.slice(1)).sort()`)
	if documented := operations(t); !slices.Equal(listed, documented) {
		t.Errorf("the page lists %q, the document has %q", listed, documented)
	}

	const list = "#CatalogService-ListProducts"
	page.Do(t,
		chromedp.Click(list+" .try summary"),
		chromedp.SendKeys(list+` [name="pageSize"]`, "1"),
		chromedp.SendKeys(list+` [name="category"]`, "kitchen"),
		chromedp.Click(list+" .send"),
		chromedp.WaitVisible(list+" .answer"),
		chromedp.WaitNotVisible(list+" .stop"),
	)
	var answer struct {
		Products []struct{ Title, Category string }
	}
	if text := text(t, page, list+" .answer"); json.Unmarshal([]byte(text), &answer) != nil || len(answer.Products) != 1 || answer.Products[0].Category != "kitchen" {
		t.Errorf("the page shows %s", text)
	}
	page.CheckAccess(t)
	if complaints := page.Complaints(); len(complaints) > 0 {
		t.Errorf("the page complains: %q", complaints)
	}

	const create = "#CartService-CreateCart"
	page.Do(t, chromedp.Click(create+" .try summary"), chromedp.Click(create+" .send"), chromedp.WaitVisible(create+" .answer"), chromedp.WaitNotVisible(create+" .stop"))
	if text := text(t, page, create+" .answer"); !strings.Contains(text, `"state": "CART_STATE_ACTIVE"`) {
		t.Errorf("the page shows %s", text)
	}
	const get = "#OrderService-GetOrder"
	page.Do(t, chromedp.Click(get+" .try summary"), chromedp.SendKeys(get+` [name="id"]`, "ord_1"), chromedp.Click(get+" .send"), chromedp.WaitVisible(get+" .answer"), chromedp.WaitNotVisible(get+" .stop"))
	if text := text(t, page, get+" .result"); !strings.HasPrefix(text, "404 Not Found in ") || !strings.Contains(text, ", correlation id cor_") {
		t.Errorf("the page says %s", text)
	}
	for _, request := range page.Requests() {
		if !strings.HasPrefix(request, url+"/") {
			t.Errorf("the page has asked for %s", request)
		}
	}
}

// operations returns the ids of the operations in the document, in order, as the page has them.
func operations(t *testing.T) []string {
	t.Helper()
	var document struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	if err := json.Unmarshal(openapi.Document, &document); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, path := range document.Paths {
		for _, operation := range path {
			ids = append(ids, strings.ReplaceAll(operation.OperationID, "_", "-"))
		}
	}
	slices.Sort(ids)
	return ids
}

func text(t *testing.T, page *browsertest.Page, selector string) (text string) {
	t.Helper()
	page.Do(t, chromedp.Text(selector, &text))
	return strings.TrimSpace(text)
}
