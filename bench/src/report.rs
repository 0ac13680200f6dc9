//! The table.

use std::time::Duration;

use serde::Serialize;

use crate::limits::Limits;
use crate::load::Outcome;

/// Everything that was measured in one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    limits: Limits,
    starts: Vec<Start>,
    loads: Vec<Load>,
}

#[derive(Debug, Serialize)]
struct Start {
    store: &'static str,
    ready_ms: f64,
    idle_mb: f64,
    loaded_mb: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Load {
    what: &'static str,
    store: &'static str,
    clients: usize,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    limit: &'static str,
    limit_per_second: f64,
}

impl Report {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            starts: Vec::new(),
            loads: Vec::new(),
        }
    }

    pub(crate) fn start(&mut self, store: &'static str, ready: Duration, resident: u64) {
        self.starts.push(Start {
            store,
            ready_ms: ms(ready),
            idle_mb: mb(resident),
            loaded_mb: None,
        });
    }

    pub(crate) fn loaded(&mut self, store: &'static str, resident: u64) {
        if let Some(start) = self
            .starts
            .iter_mut()
            .rev()
            .find(|start| start.store == store)
        {
            start.loaded_mb = Some(mb(resident));
        }
    }

    /// Log writes, beside the slower of the two limits: HTTP alone, and signatures alone.
    pub(crate) fn writes(
        &mut self,
        store: &'static str,
        clients: usize,
        writes: &Outcome,
        ping: &Outcome,
    ) {
        let signatures = self.limits.log_writes();
        let (limit, value) = if ping.rate() < signatures {
            ("GET /ping", ping.rate())
        } else {
            ("signatures alone", signatures)
        };
        self.load("log write", store, clients, writes, limit, value);
    }

    pub(crate) fn certificates(
        &mut self,
        store: &'static str,
        clients: usize,
        certificates: &Outcome,
    ) {
        let limit = self.limits.certificates();
        self.load(
            "certificate",
            store,
            clients,
            certificates,
            "signatures alone",
            limit,
        );
    }

    fn load(
        &mut self,
        what: &'static str,
        store: &'static str,
        clients: usize,
        outcome: &Outcome,
        limit: &'static str,
        limit_per_second: f64,
    ) {
        self.loads.push(Load {
            what,
            store,
            clients,
            per_second: outcome.rate(),
            p50_ms: outcome.quantile_ms(0.5),
            p99_ms: outcome.quantile_ms(0.99),
            limit,
            limit_per_second,
        });
    }

    /// Prints it, for people or for programs.
    pub(crate) fn print(&self, json: bool) {
        if json {
            match serde_json::to_string_pretty(self) {
                Ok(text) => println!("{text}"),
                Err(error) => eprintln!("bench: {error}"),
            }
            return;
        }
        let limits = &self.limits;
        println!(
            "Limits of this machine ({} cores), per second",
            limits.cores
        );
        println!("  P-256 verify, one core  {:>9.0}", limits.verify);
        println!("  P-256 sign, one core    {:>9.0}", limits.sign);
        println!("  durable 4 KiB write     {:>9.0}", limits.fsync);
        println!();
        println!("store        ready ms   idle MB   MB after load");
        for start in &self.starts {
            println!(
                "{:<11} {:>9.0} {:>9.1} {:>15.1}",
                start.store,
                start.ready_ms,
                start.idle_mb,
                start.loaded_mb.unwrap_or_default()
            );
        }
        println!();
        println!(
            "what         store       clients   per s   p50 ms   p99 ms    limit/s  of limit  (which limit)"
        );
        for load in &self.loads {
            println!(
                "{:<12} {:<11} {:>7} {:>7.0} {:>8.2} {:>8.2} {:>10.0} {:>8.0}%  {}",
                load.what,
                load.store,
                load.clients,
                load.per_second,
                load.p50_ms,
                load.p99_ms,
                load.limit_per_second,
                100.0 * load.per_second / load.limit_per_second,
                load.limit
            );
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
