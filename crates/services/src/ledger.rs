use std::sync::Arc;

use async_trait::async_trait;
use hostatlas_domain::Address;
use hostatlas_geolocation::online::{
    KeptAnswer, Ledger, LedgerError, NewAnswer, Permit, SettleCall, TakeCall, Taken,
};
use hostatlas_store::{PermitsTaken, Store, StoreError, TakePermits};

/// Permits and answers in the database: counted for all processes of the installation, and kept across restarts.
pub struct StoreLedger {
    store: Arc<dyn Store>,
}

impl StoreLedger {
    /// The ledger in this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Ledger for StoreLedger {
    async fn take(&self, call: TakeCall) -> Result<Taken, LedgerError> {
        let TakeCall { provider, account, limits, addresses } = call;
        let params = TakePermits { provider, account, limits, addresses };
        Ok(match self.store.provider_take(params).await.map_err(failed)? {
            PermitsTaken::Granted { addresses, windows, left } => {
                Taken::Granted(Permit { addresses, windows, left })
            }
            PermitsTaken::Wait { wait, reason, limit } => Taken::Wait { wait, reason, limit },
        })
    }

    async fn settle(&self, call: SettleCall) -> Result<(), LedgerError> {
        let SettleCall {
            provider,
            account,
            limits,
            windows,
            unsent,
            age,
            observation,
            tally,
            error,
            breaker,
            disabled_because,
        } = call;
        let call = hostatlas_store::SettleCall {
            provider,
            account,
            limits,
            windows,
            unsent,
            age,
            observation,
            tally,
            error,
            breaker,
            disabled_because,
        };
        self.store.provider_settle(call).await.map_err(failed)
    }

    async fn answers(&self, addresses: &[Address]) -> Result<Vec<KeptAnswer>, LedgerError> {
        let stored = self.store.answers_get(addresses.to_vec()).await.map_err(failed)?;
        let kept = |stored: hostatlas_store::StoredAnswer| KeptAnswer {
            address: stored.address,
            answer: stored.answer,
            age: stored.age,
        };
        Ok(stored.into_iter().map(kept).collect())
    }

    async fn keep(&self, answers: Vec<NewAnswer>) -> Result<(), LedgerError> {
        let new = |answer: NewAnswer| hostatlas_store::NewAnswer {
            address: answer.address,
            provider: answer.provider,
            status: answer.status,
        };
        self.store.answers_keep(answers.into_iter().map(new).collect()).await.map_err(failed)
    }
}

fn failed(error: StoreError) -> LedgerError {
    LedgerError(Box::new(error))
}
