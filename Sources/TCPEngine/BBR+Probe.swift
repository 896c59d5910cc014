internal import TCPWire

/// ProbeBW: down, cruise, refill, up (draft-ietf-ccwg-bbr-06 §5.3.3).
extension BBR {
    /// StartProbeBW_DOWN (§5.3.3.9).
    mutating func startDown(_ now: Instant, _ rate: DeliveryRate) {
        resetCongestion()
        probeUpStep = BBR.unbounded
        pickProbeWait()
        cycleStart = now.nanoseconds
        phase = .probeStopping
        startRound(rate)
        state = .probeDown
    }

    /// StartProbeBW_CRUISE.
    mutating func startCruise() { state = .probeCruise }

    /// StartProbeBW_REFILL: the bounds that losses set in this cycle are forgotten (§5.3.3.3).
    mutating func startRefill(_ rate: DeliveryRate) {
        resetShortTerm()
        probeUpRounds = 0
        probeUpAcknowledged = 0
        wasProbePrecautionary = false
        phase = .refilling
        startRound(rate)
        state = .probeRefill
    }

    /// StartProbeBW_UP.
    private mutating func startUp(_ sample: RateSample, _ rate: DeliveryRate) {
        isProbeSample = true
        phase = .probeStarting
        startRound(rate)
        resetFullBandwidth(sample.deliveryRate)
        state = .probeUp
        raiseSlope()
    }

    /// UpdateProbeBWCyclePhase (§5.3.3.9).
    mutating func updateProbeBandwidth(_ signal: CongestionSignal, _ sample: RateSample, _ rate: DeliveryRate) {
        guard wasFull, sample.hasData else { return }
        if adaptLongTerm(sample, rate) { return }
        switch state {
        case .probeDown:
            if isTimeToProbe(signal.now) {
                startRefill(rate)
            } else if isTimeToCruise(signal) {
                startCruise()
            }
        case .probeCruise:
            if isTimeToProbe(signal.now) { startRefill(rate) }
        case .probeRefill:
            // §5.3.3.3: after one round trip the pipe is as full as the estimates allow.
            if isRoundStart { startUp(sample, rate) }
        case .probeUp:
            if isTimeToGoDown(signal, sample) {
                wasProbeTooHigh = false
                startDown(signal.now, rate)
            }
        case .startup, .drain, .probeRoundTrip: break
        }
    }

    /// AdaptLongTermModel (§5.3.3.9). Whether it changed the state.
    private mutating func adaptLongTerm(_ sample: RateSample, _ rate: DeliveryRate) -> Bool {
        if phase == .probeStarting && isRoundStart { phase = .probeFeedback }
        if phase == .probeStopping && isRoundStart {
            // The last samples of the probe are in.
            isProbeSample = false
            phase = .none
            if isProbingBandwidthCycle && !sample.isAppLimited { advanceMaximumBandwidth() }
            // §5.3.3.6, acceleration: the cautious probe did no harm, so probe in earnest.
            if isProbingBandwidthCycle && wasProbePrecautionary && !wasProbeTooHigh {
                startRefill(rate)
                return true
            }
        }
        if isTooHigh(sample) || longTermInFlight == BBR.unbounded { return false }
        longTermInFlight = max(longTermInFlight, sample.txInFlight)
        if state == .probeUp { probeUpward(sample) }
        return false
    }

    /// Whether the window held the sender back in this round trip or the last, with the long-term bound as the window.
    private var isHeldByLongTerm: Bool {
        (isWindowLimited || wasWindowLimited) && window >= longTermInFlight
    }

    /// ProbeInflightLongtermUpward (§5.3.3.5): one segment more for each `probeUpStep` octets acknowledged.
    private mutating func probeUpward(_ sample: RateSample) {
        if !isHeldByLongTerm { return }
        probeUpAcknowledged = BBR.sum(probeUpAcknowledged, sample.newlyAcked)
        if probeUpAcknowledged >= probeUpStep {
            let steps = probeUpAcknowledged / probeUpStep
            probeUpAcknowledged &-= steps &* probeUpStep
            let grown = BBR.sum(longTermInFlight, BBR.multiple(steps, of: segmentSize))
            longTermInFlight = min(grown, BBR.largestWindow)
        }
        if isRoundStart { raiseSlope() }
    }

    /// RaiseInflightLongtermSlope: the growth doubles each round trip.
    private mutating func raiseSlope() {
        let growth: UInt32 = 1 &<< UInt32(probeUpRounds)
        probeUpRounds = min(probeUpRounds &+ 1, 30)
        probeUpStep = max(window / growth, segmentSize)
    }

    /// IsTimeToGoDown (§5.3.3.7). Losses are `lose`'s.
    private mutating func isTimeToGoDown(_ signal: CongestionSignal, _ sample: RateSample) -> Bool {
        // §5.3.3.6, deceleration: the last probe did harm at this level. It is reached when no segment more fits, and
        // that was before this acknowledgment made room.
        let reached = BBR.sum(UInt32(clamping: signal.inFlightBefore), segmentSize)
        if wasProbeTooHigh && longTermInFlight != BBR.unbounded && reached > longTermInFlight {
            wasProbePrecautionary = true
            return true
        }
        if isHeldByLongTerm {
            // The bound, not the path, keeps the rate from growing.
            resetFullBandwidth(sample.deliveryRate)
            return false
        }
        return isFullNow
    }

    /// IsTimeToCruise: there is headroom, and the queue is gone (§5.3.3.1).
    private func isTimeToCruise(_ signal: CongestionSignal) -> Bool {
        signal.inFlight <= Int(clamping: inFlightWithHeadroom)
            && signal.inFlight <= Int(clamping: inFlight(gain: 100, maximumBandwidth))
    }

    /// IsTimeToProbeBW (§5.3.3.8.3).
    private func isTimeToProbe(_ now: Instant) -> Bool {
        now.nanoseconds &- cycleStart > probeWait || isRenoTime
    }

    /// IsRenoCoexistenceProbeTime: a Reno flow would need as many round trips as the window has segments to probe this
    /// far (§5.3.3.8.2).
    private var isRenoTime: Bool { roundsSinceProbe >= min(targetInFlight / segmentSize, 63) }

    /// PickProbeWait: two to three seconds, and 62 or 63 round trips (§5.3.3.8.2).
    private mutating func pickProbeWait() {
        roundsSinceProbe = random(below: 2)
        probeWait = 2_000_000_000 &+ Int64(random(below: 1_000_000_000))
    }

    /// InflightWithHeadroom (§5.3.3.9).
    var inFlightWithHeadroom: UInt32 {
        if longTermInFlight == BBR.unbounded { return BBR.unbounded }
        let room = max(segmentSize, BBR.hundredths(BBR.headroom, of: longTermInFlight))
        return max(longTermInFlight &- min(room, longTermInFlight), smallestWindow)
    }
}
