//! What the play asks the chain.

use prost::Message;
use proto::cosmos::base::query::v1beta1::PageRequest;
use proto::underbid::escrow::v1 as escrow;
use proto::underbid::market::v1 as market;
use underbid::client::chain::{Client, Error};

/// More live orders of one state, leases and bids than the play has.
const PAGE: u64 = 100;

fn page() -> Option<PageRequest> {
    Some(PageRequest { limit: PAGE, ..PageRequest::default() })
}

/// The orders that take bids, and a height at which they stand like this. By their states: closed ones are kept for a while
/// and would fill the page.
pub async fn biddable_orders(client: &Client) -> Result<(u64, Vec<market::Order>), Error> {
    let path = "/underbid.market.v1.Query/Orders";
    let (mut height, mut orders) = (u64::MAX, Vec::new());
    for state in [market::OrderState::Bidding, market::OrderState::Open] {
        let request =
            market::QueryOrdersRequest { state: state.into(), pagination: page(), ..Default::default() };
        let answer = client.query_bytes(path, &request.encode_to_vec(), None).await?;
        let response = market::QueryOrdersResponse::decode(answer.value.as_slice())
            .map_err(|error| Error::Answer { path: path.to_owned(), why: error.to_string() })?;
        height = height.min(answer.height);
        orders.extend(response.orders);
    }
    Ok((height, orders))
}

/// The live leases of a provider.
pub async fn live_leases(client: &Client, provider: &str) -> Result<Vec<market::Lease>, Error> {
    let request = market::QueryLeasesRequest {
        provider: provider.to_owned(),
        live: true,
        pagination: page(),
        ..Default::default()
    };
    let answer: market::QueryLeasesResponse =
        client.query("/underbid.market.v1.Query/Leases", &request, None).await?;
    Ok(answer.leases)
}

/// The bids of an order.
pub async fn bids(client: &Client, order_id: u64) -> Result<Vec<market::Bid>, Error> {
    let request = market::QueryBidsRequest { order_id, pagination: page() };
    let answer: market::QueryBidsResponse =
        client.query("/underbid.market.v1.Query/Bids", &request, None).await?;
    Ok(answer.bids)
}

/// What a bid would be worth.
pub async fn quote(
    client: &Client,
    request: &market::QueryQuoteBidRequest,
) -> Result<market::QueryQuoteBidResponse, Error> {
    client.query("/underbid.market.v1.Query/QuoteBid", request, None).await
}

/// The parameters of the market.
pub async fn params(client: &Client) -> Result<market::Params, Error> {
    let request = market::QueryParamsRequest {};
    let answer: market::QueryParamsResponse =
        client.query("/underbid.market.v1.Query/Params", &request, None).await?;
    Ok(answer.params.unwrap_or_default())
}

/// How a round was decided.
pub async fn award(client: &Client, order_id: u64, round: u32) -> Result<market::Award, Error> {
    let request = market::QueryAwardRequest { order_id, round };
    let answer: market::QueryAwardResponse =
        client.query("/underbid.market.v1.Query/Award", &request, None).await?;
    Ok(answer.award.unwrap_or_default())
}

/// The money of an order, as it is stored and as of now.
pub async fn account(client: &Client, order_id: u64) -> Result<escrow::QueryAccountResponse, Error> {
    client.query("/underbid.escrow.v1.Query/Account", &escrow::QueryAccountRequest { order_id }, None).await
}
