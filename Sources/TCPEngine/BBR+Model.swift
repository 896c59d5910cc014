internal import TCPWire

/// Updating the model of the path (draft-ietf-ccwg-bbr-06 §5.5).
extension BBR {
    /// UpdateLatestDeliverySignals (§5.5.10.3): the greatest rate and volume delivered in a round trip.
    mutating func updateLatestDelivery(_ sample: RateSample, _ rate: DeliveryRate) {
        isLossRoundStart = false
        guard sample.hasData else { return }
        latestBandwidth = max(latestBandwidth, sample.deliveryRate)
        latestInFlight = max(latestInFlight, sample.delivered)
        if sample.priorDelivered >= lossRoundDelivered {
            lossRoundDelivered = rate.delivered
            isLossRoundStart = true
        }
    }

    /// AdvanceLatestDeliverySignals (§5.5.10.3).
    mutating func advanceLatestDelivery(_ sample: RateSample) {
        if !isLossRoundStart { return }
        latestBandwidth = sample.deliveryRate
        latestInFlight = sample.delivered
    }

    /// UpdateRound (§5.5.1): a round trip ends with the delivery of what was sent after it began.
    mutating func updateRound(_ signal: CongestionSignal, _ sample: RateSample, _ rate: DeliveryRate) {
        isRoundStart = sample.hasData && sample.priorDelivered >= nextRoundDelivered
        if isRoundStart {
            startRound(rate)
            roundCount &+= 1
            // Losses that were repaired without a recovery.
            if !isInRecovery { hasUndo = false }
            if roundsSinceProbe < .max { roundsSinceProbe &+= 1 }
            wasWindowLimited = isWindowLimited
            isWindowLimited = false
        }
        if signal.isWindowLimited { isWindowLimited = true }
    }

    /// StartRound (§5.5.1).
    mutating func startRound(_ rate: DeliveryRate) { nextRoundDelivered = rate.delivered }

    /// UpdateCongestionSignals (§5.5.10.3).
    mutating func updateCongestion(_ sample: RateSample) {
        updateMaximumBandwidth(sample)
        if !isLossRoundStart { return }
        adaptLowerBounds()
        isLossInRound = false
    }

    /// UpdateMaxBw (§5.5.5). A rate that the application set counts only if it is more than was known (§5.5.4).
    private mutating func updateMaximumBandwidth(_ sample: RateSample) {
        if sample.deliveryRate == 0 { return }
        if sample.isAppLimited && sample.deliveryRate < maximumBandwidth { return }
        currentMaximum = max(currentMaximum, sample.deliveryRate)
    }

    /// AdvanceMaxBwFilter (§5.5.6). A cycle that measured nothing is none.
    mutating func advanceMaximumBandwidth() {
        if currentMaximum == 0 { return }
        previousMaximum = currentMaximum
        currentMaximum = 0
    }

    /// AdaptLowerBoundsFromCongestion, InitLowerBounds, LossLowerBounds (§5.5.10.3): once a round trip with losses,
    /// when not probing, down towards what was delivered. §5.3.3.8.3 has the rate come down by the share that was lost;
    /// what was delivered is less than the bandwidth by more than that, for we paced below it, in Drain and ProbeBW_DOWN
    /// well below. So it is measured against what was asked of the path: else each round with a loss would take off the
    /// pacing margin too, and the first after a probe a tenth.
    private mutating func adaptLowerBounds() {
        if isAccelerating || !isLossInRound { return }
        if shortTermBandwidth == BBR.unboundedRate { shortTermBandwidth = maximumBandwidth }
        if shortTermInFlight == BBR.unbounded { shortTermInFlight = window }
        // The samples are of what was sent in this round or the last.
        let gain = roundCount &- slowRound <= 1 ? slowGain : 100
        let seen = BBR.share(latestBandwidth, 10000, of: gain &* (100 &- BBR.pacingMargin))
        shortTermBandwidth = max(seen, BBR.hundredths(BBR.beta, of: shortTermBandwidth))
        let held = UInt32(clamping: BBR.share(UInt64(latestInFlight), 100, of: gain))
        shortTermInFlight = max(held, BBR.hundredths(BBR.beta, of: shortTermInFlight))
    }

    /// ResetCongestionSignals (§5.5.10.3).
    mutating func resetCongestion() {
        isLossInRound = false
        latestBandwidth = 0
        latestInFlight = 0
    }

    /// ResetShortTermModel (§5.5.10.3).
    mutating func resetShortTerm() {
        shortTermBandwidth = BBR.unboundedRate
        shortTermInFlight = BBR.unbounded
    }

    /// BoundBWForModel (§5.5.10.3).
    mutating func boundBandwidth() { bandwidth = min(maximumBandwidth, shortTermBandwidth) }

    /// UpdateACKAggregation (§5.5.9): how much more is acknowledged at once than the bandwidth accounts for.
    mutating func updateAggregation(_ signal: CongestionSignal, _ sample: RateSample) {
        guard sample.hasData else { return }
        var expected = BBR.volume(bandwidth, during: signal.now.nanoseconds &- aggregationStart)
        if aggregationDelivered <= expected {
            aggregationDelivered = 0
            aggregationStart = signal.now.nanoseconds
            expected = 0
        }
        aggregationDelivered = BBR.sum(aggregationDelivered, sample.newlyAcked)
        let extra = min(aggregationDelivered &- min(expected, aggregationDelivered), window)
        aggregation.add(extra, at: roundCount, length: wasFull ? BBR.aggregationRounds : 1)
    }

    /// CheckFullBWReached (§5.3.1.2): three rounds without a quarter's growth mean that the pipe is full. A round
    /// without a reliable rate says nothing.
    mutating func checkFullBandwidth(_ sample: RateSample) {
        if isFullNow || !isRoundStart || sample.isAppLimited || sample.deliveryRate == 0 { return }
        if sample.deliveryRate >= BBR.hundredths(125, of: fullBandwidth) {
            resetFullBandwidth(sample.deliveryRate)
            return
        }
        fullBandwidthCount &+= 1
        isFullNow = fullBandwidthCount >= 3
        if isFullNow { wasFull = true }
    }

    /// ResetFullBW (§5.3.1.2), with `rate` as the new measure.
    mutating func resetFullBandwidth(_ rate: UInt64) {
        fullBandwidth = rate
        fullBandwidthCount = 0
        isFullNow = false
    }
}

/// Arithmetic that neither traps nor wraps, whatever a peer acknowledges.
extension BBR {
    /// What `rate` gives in a time.
    static func volume(_ rate: UInt64, during nanoseconds: Int64) -> UInt32 {
        let time = UInt64(max(nanoseconds, 0))
        let (product, overflow) = rate.multipliedReportingOverflow(by: time)
        if !overflow { return UInt32(clamping: product / 1_000_000_000) }
        let (coarse, isTooMuch) = (rate / 1000).multipliedReportingOverflow(by: time / 1000)
        return isTooMuch ? .max : UInt32(clamping: coarse / 1000)
    }

    static func hundredths(_ count: UInt64, of rate: UInt64) -> UInt64 {
        let (product, overflow) = rate.multipliedReportingOverflow(by: count)
        return overflow ? .max : product / 100
    }

    /// `rate` times `part` over `whole`.
    static func share(_ rate: UInt64, _ part: UInt64, of whole: UInt64) -> UInt64 {
        let (product, overflow) = rate.multipliedReportingOverflow(by: part)
        return overflow ? .max : product / whole
    }

    static func hundredths(_ count: UInt64, of octets: UInt32) -> UInt32 {
        UInt32(clamping: UInt64(octets) &* count / 100)
    }

    static func sum(_ left: UInt32, _ right: UInt32) -> UInt32 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }

    static func multiple(_ count: UInt32, of octets: UInt32) -> UInt32 {
        let (product, overflow) = octets.multipliedReportingOverflow(by: count)
        return overflow ? .max : product
    }
}
