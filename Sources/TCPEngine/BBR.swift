package import TCPWire

/// BBR, version 3 (draft-ietf-ccwg-bbr-06): congestion control by a model of the path, its bandwidth and its round-trip
/// time, instead of by losses alone. Volumes are octets, rates octets a second, times nanoseconds, gains hundredths.
///
/// Its use: `acknowledge` on every acknowledgment, with the sample that `DeliveryRate.finish` made; before it, `lose` for
/// each transmission found lost; `enterRecovery`, `endRecovery`, `timeout`, `undo` as they happen, `restartFromIdle`
/// before the first transmission after a silence. Out come `window`, `pacingRate` and `sendQuantum`. Where the draft
/// leaves a choice, or where its text and its pseudocode differ, the comment at the place says what was chosen.
package struct BBR {
    /// BBR.state (§5.1.1).
    package enum State: UInt8, Sendable, CaseIterable {
        case startup, drain, probeDown, probeCruise, probeRefill, probeUp, probeRoundTrip
    }

    /// BBR.ack_phase (§2.14): what the acknowledgments that come in tell of a bandwidth probe.
    enum AcknowledgmentPhase: UInt8 {
        case none, refilling, probeStarting, probeFeedback, probeStopping
    }

    // The controls (§2.4).

    /// C.cwnd.
    package internal(set) var window: UInt32
    /// C.pacing_rate; never zero.
    package internal(set) var pacingRate: UInt64 = 0
    /// C.send_quantum: the most to send in one go.
    package internal(set) var sendQuantum: UInt32 = 0

    // The state machine (§2.7).

    package internal(set) var state: State = .startup
    var phase: AcknowledgmentPhase = .none
    /// BBR.round_count, BBR.round_start, BBR.next_round_delivered (§5.5.1).
    package internal(set) var roundCount: UInt32 = 0
    package internal(set) var isRoundStart = false
    var nextRoundDelivered: UInt64 = 0
    /// BBR.idle_restart.
    package internal(set) var isIdleRestart = false
    /// Whether losses are being repaired.
    var isInRecovery = false
    /// C.has_selective_acks: whether more than one loss a round trip can be seen.
    package var hasSelectiveAcknowledgments = true
    /// BBR.drain_start_round.
    var drainStartRound: UInt32 = 0
    /// C.is_cwnd_limited, over this round and the one before it (§2.2).
    var wasWindowLimited = false
    var isWindowLimited = false
    /// Whether the pacing rate rests on a round trip that was measured (§5.6.2).
    var hasRoundTrip: Bool

    // The model of the path (§2.9).

    /// BBR.max_bw, over the cycle before this one and over this one (§5.5.3, §5.5.6).
    var previousMaximum: UInt64 = 0
    var currentMaximum: UInt64 = 0
    /// BBR.bw.
    package internal(set) var bandwidth: UInt64 = 0
    /// BBR.bw_shortterm; `unboundedRate` when there is none.
    package internal(set) var shortTermBandwidth = BBR.unboundedRate
    /// BBR.inflight_longterm and BBR.inflight_shortterm; `unbounded` when there is none.
    package internal(set) var longTermInFlight = BBR.unbounded
    package internal(set) var shortTermInFlight = BBR.unbounded
    /// BBR.bw_latest and BBR.inflight_latest (§2.10).
    var latestBandwidth: UInt64 = 0
    var latestInFlight: UInt32 = 0
    /// The round in which the pacing gain was last below one, and that gain.
    var slowRound: UInt32 = 0
    var slowGain: UInt64 = 100
    /// BBR.min_rtt and BBR.min_rtt_stamp; `unknown` before the first measurement.
    package internal(set) var minimumRoundTrip: Int64
    var minimumRoundTripTime: Int64
    /// BBR.extra_acked_interval_start, BBR.extra_acked_delivered, BBR.extra_acked (§5.5.9).
    var aggregationStart: Int64
    var aggregationDelivered: UInt32 = 0
    var aggregation = WindowedMaximum()

    // Losses (§2.10, §2.15).

    /// BBR.is_loss_in_round, BBR.loss_round_start, BBR.loss_round_delivered.
    var isLossInRound = false
    var isLossRoundStart = false
    var lossRoundDelivered: UInt64 = 0
    /// The stretches of sequence numbers lost in the loss round (§5.3.1.3), and where the last of them ends.
    var lossEvents: UInt8 = 0
    var lossEnd = SequenceNumber(0)
    /// BBR.prior_cwnd: the window before recovery or ProbeRTT held it down.
    var priorWindow: UInt32 = 0
    /// BBR.undo_state, with the bounds of before: what to go back to when nothing was lost after all.
    var undoState: State?
    var hasUndo = false
    var undoShortTermBandwidth: UInt64 = 0
    var undoShortTermInFlight: UInt32 = 0
    var undoLongTermInFlight: UInt32 = 0

    // Full pipe (§2.13).

    /// BBR.full_bw, BBR.full_bw_count, BBR.full_bw_now, BBR.full_bw_reached.
    var fullBandwidth: UInt64 = 0
    var fullBandwidthCount: UInt8 = 0
    package internal(set) var isFullNow = false
    package internal(set) var wasFull = false

    // ProbeBW (§2.14).

    /// BBR.cycle_stamp, BBR.bw_probe_wait, BBR.rounds_since_probe_up.
    var cycleStart: Int64 = 0
    var probeWait: Int64 = 0
    var roundsSinceProbe: UInt32 = 0
    /// BBR.is_bw_probe_sample.
    var isProbeSample = false
    /// BBR.bw_probe_up_rounds, BBR.bw_probe_up_acked, BBR.probe_up_acked_per_inc.
    var probeUpRounds: UInt8 = 0
    var probeUpAcknowledged: UInt32 = 0
    var probeUpStep = BBR.unbounded
    /// BBR.prev_probe_too_high, BBR.prev_probe_precautionary (§5.3.3.6).
    var wasProbeTooHigh = false
    var wasProbePrecautionary = false

    // ProbeRTT (§2.16).

    /// BBR.probe_rtt_min_delay, BBR.probe_rtt_min_stamp, BBR.probe_rtt_expired.
    var probeMinimum: Int64
    package var probeMinimumTime: Int64
    var isProbeExpired = false
    /// BBR.probe_rtt_done_stamp, BBR.probe_rtt_round_done; `unknown` while the flight is not yet small.
    var probeDoneTime = BBR.unknown
    var isProbeRoundDone = false

    // What the connection is.

    /// C.SMSS.
    var segmentSize: UInt32
    /// C.InitialCwnd.
    let initialWindow: UInt32
    /// The state of `random(below:)`; never zero.
    private var randomState: UInt32

    /// §5.2.1. `smoothedRoundTrip` is zero before the first measurement; `random` seeds the spreading of probes.
    package init(
        segmentSize: Int, now: Instant, initialWindow: UInt32, smoothedRoundTrip: Int64, random: UInt32
    ) {
        self.segmentSize = UInt32(clamping: max(segmentSize, 1))
        self.initialWindow = min(max(initialWindow, 1), BBR.largestWindow)
        window = self.initialWindow
        hasRoundTrip = smoothedRoundTrip > 0
        minimumRoundTrip = smoothedRoundTrip > 0 ? smoothedRoundTrip : BBR.unknown
        minimumRoundTripTime = now.nanoseconds
        probeMinimum = minimumRoundTrip
        probeMinimumTime = now.nanoseconds
        aggregationStart = now.nanoseconds
        randomState = random == 0 ? 0x9E37_79B9 : random
        startPacing(smoothedRoundTrip: smoothedRoundTrip)
    }

    /// §5.2.3, UpdateOnACK: every acknowledgment, in recovery too. `rate` is the estimator that made `sample`.
    package mutating func acknowledge(_ signal: CongestionSignal, _ sample: RateSample, _ rate: inout DeliveryRate) {
        segmentSize = UInt32(clamping: max(signal.segmentSize, 1))
        if !hasRoundTrip && signal.smoothedRoundTrip > 0 {
            hasRoundTrip = true
            startPacing(smoothedRoundTrip: signal.smoothedRoundTrip)
        }
        updateLatestDelivery(sample, rate)
        updateRound(signal, sample, rate)
        updateCongestion(sample)
        updateAggregation(signal, sample)
        checkFullBandwidth(sample)
        checkStartupDone(signal, sample)
        checkDrainDone(signal, rate)
        updateProbeBandwidth(signal, sample, rate)
        updateMinimumRoundTrip(signal, sample)
        checkProbeRoundTrip(signal, sample, &rate)
        advanceLatestDelivery(sample)
        if pacingGain < 100 { (slowRound, slowGain) = (roundCount, pacingGain) }
        boundBandwidth()
        updatePacing(gain: pacingGain)
        updateWindow(signal, sample, rate)
    }

    /// A number of 0 ..< `bound` (xorshift of 32 bits, Marsaglia).
    mutating func random(below bound: UInt32) -> UInt32 {
        randomState ^= randomState &<< 13
        randomState ^= randomState &>> 17
        randomState ^= randomState &<< 5
        return UInt32(truncatingIfNeeded: (UInt64(randomState) &* UInt64(bound)) &>> 32)
    }
}

extension BBR {
    /// No bound on a volume, on a rate; no time.
    package static let unbounded = UInt32.max
    package static let unboundedRate = UInt64.max
    package static let unknown = Int64.max
    /// The largest window of TCP (RFC 7323 §2.3).
    static let largestWindow: UInt32 = 1 &<< 30

    /// BBR.LossThresh is one in fifty: 2 % (§2.8).
    static let lossThreshold: UInt32 = 50
    /// BBR.Beta: 0.7 (§2.8).
    static let beta: UInt64 = 70
    /// BBR.Headroom: 0.15 (§2.8).
    static let headroom: UInt64 = 15
    /// BBR.PacingMarginPercent (§2.5).
    static let pacingMargin: UInt64 = 1
    /// BBRStartupFullLossCnt: stretches lost in a round that end Startup (§5.3.1.3).
    static let startupLosses: UInt8 = 6
    /// BBR.ExtraAckedFilterLen, in round trips (§2.12).
    static let aggregationRounds: UInt32 = 10
    /// BBR.MinRTTFilterLen (§2.16.1).
    static let minimumRoundTripLife: Int64 = 10_000_000_000
    /// BBR.ProbeRTTInterval and BBR.ProbeRTTDuration (§2.16.2).
    static let probeRoundTripInterval: Int64 = 5_000_000_000
    static let probeRoundTripDuration: Int64 = 200_000_000
    /// BBR.ProbeRTTCwndGain: 0.5 (§2.16.2).
    static let probeRoundTripGain: UInt64 = 50

    /// BBR.StartupPacingGain: 4 ln 2 (§2.5).
    static let startupGain: UInt64 = 277

    /// BBR.pacing_gain, by the table of §5.6.1.
    package var pacingGain: UInt64 {
        switch state {
        case .startup: BBR.startupGain
        case .drain: 50
        case .probeDown: 90
        case .probeCruise, .probeRefill, .probeRoundTrip: 100
        case .probeUp: 125
        }
    }

    /// BBR.cwnd_gain, by the table of §5.6.1.
    package var windowGain: UInt64 {
        switch state {
        case .startup, .drain, .probeDown, .probeCruise, .probeRefill: 200
        case .probeUp: 225
        case .probeRoundTrip: BBR.probeRoundTripGain
        }
    }

    /// IsInAProbeBWState (§5.3.3.9).
    package var isProbingBandwidthCycle: Bool {
        switch state {
        case .probeDown, .probeCruise, .probeRefill, .probeUp: true
        case .startup, .drain, .probeRoundTrip: false
        }
    }

    /// IsProbingBW (§5.3.3.9).
    var isAccelerating: Bool { state == .startup || state == .probeRefill || state == .probeUp }

    /// BBR.max_bw.
    package var maximumBandwidth: UInt64 { max(previousMaximum, currentMaximum) }

    /// BBR.extra_acked.
    package var extraAcknowledged: UInt32 { aggregation.value }
}
