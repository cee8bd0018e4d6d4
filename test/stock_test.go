package test

import (
	"fmt"
	"net/url"
	"strings"
)

var stockScenarios = []scenario{
	{"staff looks after the stock", connectJSON, lookAfterStock},
}

// lookAfterStock reads, over REST, what there is of something that is sold until it is low, and where its pieces have gone.
func lookAfterStock(v *visit) {
	sku := v.product(1990, 5)
	of := "/v1/stock/" + url.PathEscape(sku)
	set := v.ask("POST", "/v1/stock:setThresholds", fmt.Sprintf(`{"requestId":%q,"thresholds":[{"sku":%q,"lowAt":"3"}]}`, request(), sku))
	equal(v, "a threshold is set", set.status, 200)
	equal(v, "it is low", v.got(200, "GET", of, "")("stock", "low"), any(nil))

	order := v.settled(v.buy("pm_card_visa", item{sku, 2}).GetId(), confirmed, "")
	stock := v.got(200, "GET", of, "")
	for field, want := range map[string]any{"onHand": "5", "reserved": "2", "available": "3", "lowAt": "3", "low": true} {
		if got := stock("stock", field); got != want {
			v.Errorf("%s is %v, want %v", field, got, want)
		}
	}
	low := v.got(200, "GET", "/v1/stock?low=true&pageSize=200", "")("stock").([]any)
	found := false
	for _, one := range low {
		found = found || one.(map[string]any)["sku"] == sku
	}
	equal(v, "it is on the list", found, true)

	shipped := v.ask("POST", "/v1/orders/"+order.GetId()+"/fulfillments", fmt.Sprintf(`{"requestId":%q}`, request()))
	equal(v, "a parcel", shipped.status, 201)
	path := "/v1/stockMovements?sku=" + url.QueryEscape(sku)
	v.until("the stock has followed the parcel", func() bool { return strings.Count(v.ask("GET", path, "").body, `"delta"`) == 2 })
	movements := v.got(200, "GET", path, "")
	equal(v, "what went", movements("movements", 0, "delta"), any("-2"))
	equal(v, "whose it was", movements("movements", 0, "reservationId") == any(v.order(order.GetId()).GetReservationId()), true)
	equal(v, "what came", movements("movements", 1, "delta"), any("5"))
	repaired := v.ask("POST", "/v1/stock:repair", fmt.Sprintf(`{"requestId":%q,"skus":[%q]}`, request(), sku))
	equal(v, "nothing is repaired", repaired.body, "{}")
}
