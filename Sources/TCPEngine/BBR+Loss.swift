package import TCPWire

/// What losses, marks and their repair do to the model (draft-ietf-ccwg-bbr-06 §5.5.10, §5.5.11, §5.6.4.4).
extension BBR {
    /// HandleLostPacket (§5.5.10.2): `octets` from `sequence` on are believed lost, after `rate.lose`. `stamp` and
    /// `word` are those of the transmission.
    package mutating func lose(
        _ stamp: SendStamp, _ word: UInt32, octets: Int, from sequence: SequenceNumber, _ rate: DeliveryRate,
        now: Instant
    ) {
        noteLoss(rate)
        if lossEvents == 0 || sequence != lossEnd { lossEvents = lossEvents == .max ? .max : lossEvents &+ 1 }
        lossEnd = sequence + octets
        guard isProbeSample else { return }
        let inFlight = SendStamp.inFlight(word)
        let lost = UInt32(truncatingIfNeeded: rate.lost) &- stamp.lost
        if !isTooHigh(lost: lost, of: inFlight) { return }
        let safe = inFlightAtLoss(UInt32(clamping: octets), of: inFlight, lost: lost)
        handleTooHigh(safe, isAppLimited: SendStamp.isAppLimited(word), now, rate)
    }

    /// The peer reports that a router marked a packet (RFC 3168 §6.1.3); call it at most once a round trip, before
    /// `acknowledge`. §3.7: a mark is congestion. It is a loss to the short-term model and too much to a bandwidth
    /// probe. It ends Startup at once: no noise makes marks, as it makes losses, so there is none to wait out.
    package mutating func markCongestion(_ signal: CongestionSignal, _ sample: RateSample, _ rate: DeliveryRate) {
        noteLoss(rate)
        if state == .startup && !wasFull {
            latestInFlight = max(latestInFlight, sample.delivered)
            leaveStartupForLoss()
        } else if isProbeSample && sample.hasData {
            handleTooHigh(sample.txInFlight, isAppLimited: sample.isAppLimited, signal.now, rate)
        }
    }

    /// NoteLoss (§5.5.10.2): the first loss begins a loss round.
    private mutating func noteLoss(_ rate: DeliveryRate) {
        saveState()
        if isLossInRound { return }
        lossRoundDelivered = rate.delivered
        lossEvents = 0
        isLossInRound = true
    }

    /// IsInflightTooHigh (§5.5.10.2).
    func isTooHigh(_ sample: RateSample) -> Bool { isTooHigh(lost: sample.lost, of: sample.txInFlight) }

    /// More than 2 % of the flight, and more than two segments or a twentieth of it. §3.1 wants the full throughput with
    /// losses of 1 % on average; in a flight of less than a hundred segments 2 % are passed by chance every few round
    /// trips, and each time would bring the long-term bound down.
    private func isTooHigh(lost: UInt32, of inFlight: UInt32) -> Bool {
        if lost > 0 && !hasSelectiveAcknowledgments { return true }
        let chance = min(BBR.multiple(2, of: segmentSize), inFlight / 20)
        return lost > max(inFlight / BBR.lossThreshold, chance)
    }

    /// InflightAtLoss (§5.5.10.2): the part of the lost transmission with which losses came over the threshold. With
    /// t for it: lost + part = t (flight + part), so part = (t flight − lost) / (1 − t).
    private func inFlightAtLoss(_ octets: UInt32, of inFlight: UInt32, lost: UInt32) -> UInt32 {
        let before = inFlight &- min(octets, inFlight)
        let lostBefore = UInt64(lost &- min(octets, lost)) &* UInt64(BBR.lossThreshold)
        if lostBefore >= UInt64(before) { return before }
        return BBR.sum(before, UInt32(clamping: (UInt64(before) &- lostBefore) / UInt64(BBR.lossThreshold &- 1)))
    }

    /// HandleInflightTooHigh (§5.5.10.2), once a probe. No deeper than CUBIC would go.
    private mutating func handleTooHigh(_ safe: UInt32, isAppLimited: Bool, _ now: Instant, _ rate: DeliveryRate) {
        wasProbeTooHigh = true
        isProbeSample = false
        if !isAppLimited { longTermInFlight = max(safe, BBR.hundredths(BBR.beta, of: targetInFlight)) }
        if state == .probeUp {
            undoState = .probeUp
            startDown(now, rate)
        }
    }

    /// OnEnterFastRecovery (§5.6.4.4), before or after `lose` for the losses that began it.
    package mutating func enterRecovery() {
        saveState()
        isInRecovery = true
    }

    /// OnEnterRTO (§5.6.4.4): one segment more than the `inFlight` octets that are left in flight when the rest is
    /// marked lost.
    package mutating func timeout(inFlight: Int) {
        enterRecovery()
        saveWindow()
        window = min(BBR.sum(UInt32(clamping: inFlight), segmentSize), BBR.largestWindow)
    }

    /// All losses are repaired (§5.6.4.4).
    package mutating func endRecovery() {
        isInRecovery = false
        hasUndo = false
        restoreWindow()
    }

    /// HandleSpuriousLossDetection (§5.5.11.2): nothing was lost after all, so recovery is over.
    package mutating func undo(_ rate: DeliveryRate) {
        isInRecovery = false
        isLossInRound = false
        resetFullBandwidth(0)
        shortTermBandwidth = max(shortTermBandwidth, undoShortTermBandwidth)
        shortTermInFlight = max(shortTermInFlight, undoShortTermInFlight)
        longTermInFlight = max(longTermInFlight, undoLongTermInFlight)
        if undoState == .startup {
            wasFull = false
            if state != .probeRoundTrip { enterStartup() }
        } else if undoState == .probeUp && state != .probeUp && state != .probeRoundTrip {
            startRefill(rate)
        }
        undoState = nil
        hasUndo = false
        boundBandwidth()
        updatePacing(gain: pacingGain)
        restoreWindow()
    }

    /// SaveStateUponLoss (§5.5.11.1). §2.15 has what was "at the start of loss recovery" saved, where the pseudocode
    /// saves again for each round trip of it, after the bounds have come down: here it is once for each recovery.
    private mutating func saveState() {
        if isInRecovery || hasUndo { return }
        hasUndo = true
        saveWindow()
        undoState = nil
        undoShortTermBandwidth = shortTermBandwidth
        undoShortTermInFlight = shortTermInFlight
        undoLongTermInFlight = longTermInFlight
    }

    /// SaveCwnd (§5.6.4.4).
    mutating func saveWindow() {
        priorWindow = isInRecovery || state == .probeRoundTrip ? max(priorWindow, window) : window
    }

    /// RestoreCwnd (§5.6.4.4), within what the model allows.
    mutating func restoreWindow() {
        window = max(window, priorWindow)
        boundWindow()
    }
}
