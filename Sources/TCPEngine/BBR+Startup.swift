internal import TCPWire

/// Startup and Drain (draft-ietf-ccwg-bbr-06 §5.3.1, §5.3.2).
extension BBR {
    /// EnterStartup (§5.3.1.1).
    mutating func enterStartup() { state = .startup }

    /// CheckStartupDone (§5.3.1.1).
    mutating func checkStartupDone(_ signal: CongestionSignal, _ sample: RateSample) {
        checkStartupLoss(signal, sample)
        if state == .startup && wasFull { enterDrain() }
    }

    /// CheckStartupHighLoss (§5.3.1.3). Looked at when a loss round ends, so that no burst of losses ends Startup.
    private mutating func checkStartupLoss(_ signal: CongestionSignal, _ sample: RateSample) {
        let isRepairing = isInRecovery || signal.isInRecovery
        if state == .startup && !wasFull && isRepairing {
            if hasSelectiveAcknowledgments {
                if isLossRoundStart && lossEvents >= BBR.startupLosses && isTooHigh(sample) { leaveStartupForLoss() }
            } else if lossEvents > 0 {
                leaveStartupForLoss()
            }
        }
        if isLossRoundStart { lossEvents = 0 }
    }

    /// §5.3.1.3: what is safe to have in flight is what was delivered in the last round trip, or the estimated BDP.
    mutating func leaveStartupForLoss() {
        undoState = .startup
        isFullNow = true
        wasFull = true
        longTermInFlight = max(product(bandwidth), latestInFlight)
    }

    /// EnterDrain (§5.3.2).
    mutating func enterDrain() {
        state = .drain
        drainStartRound = roundCount
    }

    /// CheckDrainDone (§5.3.2): the queue is gone, or three round trips have not emptied it.
    mutating func checkDrainDone(_ signal: CongestionSignal, _ rate: DeliveryRate) {
        guard state == .drain else { return }
        let isDrained = signal.inFlight <= Int(clamping: inFlight(gain: 100, bandwidth))
        if isDrained || roundCount &- drainStartRound > 3 { startDown(signal.now, rate) }
    }
}
