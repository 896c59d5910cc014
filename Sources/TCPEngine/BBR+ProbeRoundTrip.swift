package import TCPWire

/// The least round trip, ProbeRTT, and the end of a silence (draft-ietf-ccwg-bbr-06 §5.3.4, §5.4).
extension BBR {
    /// UpdateMinRTT (§5.3.4.3).
    mutating func updateMinimumRoundTrip(_ signal: CongestionSignal, _ sample: RateSample) {
        let now = signal.now.nanoseconds
        isProbeExpired = now &- probeMinimumTime > BBR.probeRoundTripInterval
        // §5.5.7.1: the sample's, of the newest transmission, before the one that the RTO is made of.
        let roundTrip = sample.roundTrip > 0 ? sample.roundTrip : signal.roundTrip
        if roundTrip > 0 && (roundTrip < probeMinimum || isProbeExpired) {
            probeMinimum = roundTrip
            probeMinimumTime = now
        } else if roundTrip > 0 && roundTrip <= probeMinimum &+ probeMinimum / 64 {
            // So near the least round trip the queue is empty, and nothing has to be drained to see it. The draft wants a
            // lower one, which a path that does not change never gives.
            probeMinimumTime = now
        }
        if probeMinimum < minimumRoundTrip || now &- minimumRoundTripTime > BBR.minimumRoundTripLife {
            minimumRoundTrip = probeMinimum
            minimumRoundTripTime = probeMinimumTime
        }
    }

    /// CheckProbeRTT (§5.3.4.3). A silence was as good as a probe.
    mutating func checkProbeRoundTrip(_ signal: CongestionSignal, _ sample: RateSample, _ rate: inout DeliveryRate) {
        if state != .probeRoundTrip && isProbeExpired && !isIdleRestart {
            saveWindow()
            state = .probeRoundTrip
            probeDoneTime = BBR.unknown
            phase = .probeStopping
            startRound(rate)
        }
        if state == .probeRoundTrip { handleProbeRoundTrip(signal, &rate) }
        if sample.delivered > 0 { isIdleRestart = false }
    }

    /// HandleProbeRTT: 200 ms and a round trip with a small flight.
    private mutating func handleProbeRoundTrip(_ signal: CongestionSignal, _ rate: inout DeliveryRate) {
        // The low rates of this state are our doing, not the path's.
        rate.markApplicationLimited(inFlight: signal.inFlight)
        if probeDoneTime == BBR.unknown {
            if signal.inFlight > Int(clamping: probeRoundTripWindow) { return }
            probeDoneTime = signal.now.nanoseconds &+ BBR.probeRoundTripDuration
            isProbeRoundDone = false
            startRound(rate)
            return
        }
        if isRoundStart { isProbeRoundDone = true }
        if isProbeRoundDone { checkProbeRoundTripDone(signal.now, rate) }
    }

    /// CheckProbeRTTDone.
    private mutating func checkProbeRoundTripDone(_ now: Instant, _ rate: DeliveryRate) {
        if probeDoneTime == BBR.unknown || now.nanoseconds <= probeDoneTime { return }
        probeMinimumTime = now.nanoseconds
        // ExitProbeRTT (§5.3.4.4): the flight is below the BDP, so there is nothing to go down for.
        resetShortTerm()
        if wasFull {
            startDown(now, rate)
            startCruise()
        } else {
            enterStartup()
        }
        restoreWindow()
    }

    /// HandleRestartFromIdle (§5.4.1): nothing is in flight, the application had nothing to send, and now has. Before
    /// the transmission's stamp is made.
    package mutating func restartFromIdle(now: Instant, _ rate: DeliveryRate) {
        isIdleRestart = true
        aggregationStart = now.nanoseconds
        if isProbingBandwidthCycle {
            updatePacing(gain: 100)
        } else if state == .probeRoundTrip {
            checkProbeRoundTripDone(now, rate)
        }
    }
}
