internal import TCPWire

/// The controls: pacing rate, send quantum, window (draft-ietf-ccwg-bbr-06 §5.6).
extension BBR {
    /// InitPacingRate (§5.6.2): the initial window over a round trip, a millisecond when that is not known.
    mutating func startPacing(smoothedRoundTrip: Int64) {
        let roundTrip = smoothedRoundTrip > 0 ? UInt64(smoothedRoundTrip) : 1_000_000
        setPacing(BBR.hundredths(BBR.startupGain, of: UInt64(initialWindow) &* 1_000_000_000 / roundTrip))
    }

    /// SetPacingRateWithGain (§5.6.2). Until the pipe was full the rate only grows: samples that the application
    /// limited would hold it down.
    mutating func updatePacing(gain: UInt64) {
        if bandwidth == 0 { return }
        let rate = BBR.hundredths(100 &- BBR.pacingMargin, of: BBR.hundredths(gain, of: bandwidth))
        if wasFull || rate > pacingRate { setPacing(rate) }
    }

    /// A segment a second is the least: below that the window alone holds back.
    private mutating func setPacing(_ rate: UInt64) {
        pacingRate = max(rate, UInt64(segmentSize))
        // SetSendQuantum (§5.6.3): a millisecond's worth, at most 64 KiB, at least two segments.
        let quantum = UInt32(clamping: min(pacingRate / 1000, 65536))
        sendQuantum = max(quantum, BBR.multiple(2, of: segmentSize))
    }

    /// SetCwnd (§5.6.4.6): down at once, up by no more than was delivered.
    mutating func updateWindow(_ signal: CongestionSignal, _ sample: RateSample, _ rate: DeliveryRate) {
        let most = largestInFlight
        let grown = min(BBR.sum(window, sample.newlyAcked), BBR.largestWindow)
        if wasFull {
            window = min(grown, most)
        } else if window < most || rate.delivered < UInt64(initialWindow) {
            window = grown
        }
        window = max(window, smallestWindow)
        boundWindow()
    }

    /// BoundCwndForProbeRTT, BoundCwndForModel (§5.6.4.5, §5.6.4.7).
    mutating func boundWindow() {
        if state == .probeRoundTrip { window = min(window, probeRoundTripWindow) }
        var bound = BBR.unbounded
        switch state {
        case .probeDown, .probeRefill, .probeUp: bound = longTermInFlight
        case .probeCruise, .probeRoundTrip: bound = inFlightWithHeadroom
        case .startup, .drain: break
        }
        bound = max(min(bound, shortTermInFlight), smallestWindow)
        window = min(window, bound)
    }

    /// BBR.MinPipeCwnd (§5.6.4.3).
    var smallestWindow: UInt32 { min(BBR.multiple(4, of: segmentSize), BBR.largestWindow) }

    /// BDPMultiple(1) (§5.6.4.2): the bandwidth times the least round trip.
    func product(_ bandwidth: UInt64) -> UInt32 {
        if minimumRoundTrip == BBR.unknown { return initialWindow }
        return BBR.volume(bandwidth, during: minimumRoundTrip)
    }

    /// TargetInflight (§5.3.3.8.3).
    var targetInFlight: UInt32 { min(product(bandwidth), window) }

    /// ProbeRTTCwnd (§5.6.4.5).
    var probeRoundTripWindow: UInt32 {
        max(multiple(BBR.probeRoundTripGain, bandwidth), smallestWindow)
    }

    /// Inflight (§5.6.4.2): `gain` times the BDP, as much as the sending and the receiving host need at the least.
    func inFlight(gain: UInt64, _ bandwidth: UInt64) -> UInt32 { quantized(multiple(gain, bandwidth)) }

    /// BBR.max_inflight (§5.6.4.2).
    var largestInFlight: UInt32 {
        min(quantized(BBR.sum(multiple(windowGain, bandwidth), extraAcknowledged)), BBR.largestWindow)
    }

    /// BDPMultiple (§5.6.4.2): of the initial window, no multiple.
    private func multiple(_ gain: UInt64, _ bandwidth: UInt64) -> UInt32 {
        if minimumRoundTrip == BBR.unknown { return initialWindow }
        return BBR.hundredths(gain, of: product(bandwidth))
    }

    /// QuantizationBudget, with the budget of §5.5.8.1: three quanta are under way in the two hosts.
    private func quantized(_ volume: UInt32) -> UInt32 {
        let least = max(BBR.multiple(3, of: sendQuantum), smallestWindow)
        return BBR.sum(max(volume, least), state == .probeUp ? BBR.multiple(2, of: segmentSize) : 0)
    }
}
