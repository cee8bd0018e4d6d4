// A customer of another app, over gRPC-Web.
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

const contracts = await (await fetch("contracts.binpb")).arrayBuffer();
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, new Uint8Array(contracts)));

// shop orders something, and returns what it has seen.
window.shop = async (baseUrl) => {
  const transport = createGrpcWebTransport({ baseUrl });
  const client = (service) => createClient(registry.getService(service), transport);
  const carts = client("cleave.orders.v1.CartService");
  const orders = client("cleave.orders.v1.OrderService");
  const requestId = () => crypto.randomUUID();

  const seen = [];
  const { cart } = await carts.createCart({ requestId: requestId() });
  await carts.setCartItem({ requestId: requestId(), cartId: cart.id, sku: "MUG-OAK-SMALL", quantity: 2n });
  const { quote } = await carts.createQuote({ requestId: requestId(), cartId: cart.id });
  seen.push(`${quote.lines[0].quantity} × ${quote.lines[0].sku}: ${quote.total.amount} ${quote.total.currency}`);
  const { order } = await orders.placeOrder({ requestId: requestId(), quoteId: quote.id, paymentMethod: "pm_card_visa" });
  for await (const { transition } of orders.watchOrder({ id: order.id })) seen.push(transition.note);

  try {
    await orders.getOrder({ id: "ord_nothing" });
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    seen.push(`${name(code)}: ${rawMessage}`);
  }
  try {
    await carts.createQuote({ requestId: requestId(), cartId: cart.id });
  } catch (error) {
    const { code, details } = ConnectError.from(error);
    seen.push(`${name(code)}: ${reason(details)}`);
  }
  return seen;
};

const name = (code) => Code[code].replaceAll(/(?!^)[A-Z]/g, "_$&").toLowerCase();

// reason finds the reason of an error in its details: a google.rpc.ErrorInfo, whose first field that is.
function reason(details) {
  const info = details.find((detail) => detail.type === "google.rpc.ErrorInfo").value;
  return new TextDecoder().decode(info.subarray(2, 2 + info[1]));
}

document.querySelector("#ready").hidden = false;
