import TCPWire

/// The congestion control of a connection: one of those that `CongestionControl` names, behind one face.
package struct Congestion {
    /// Those that follow losses.
    private enum LossBased {
        case newReno(NewReno)
        case cubic(Cubic)
    }

    private var lossBased: LossBased
    /// Apart, for it is larger than the others, and the choice of few.
    private var bbr: ModelBased?

    /// Bytes charged for the control that stands apart.
    static let modelCost = 512

    private final class ModelBased {
        var control: BBR
        init(_ control: BBR) { self.control = control }
    }

    /// RFC 6928 §2, RFC 5681 §3.1: see `NewReno.init`. BBR begins with `beginModel`.
    package init(_ kind: CongestionControl, segmentSize: Int, synWasLost: Bool, initialSegments: Int = 0) {
        lossBased =
            kind == .newReno
            ? .newReno(NewReno(segmentSize: segmentSize, synWasLost: synWasLost, initialSegments: initialSegments))
            : .cubic(Cubic(segmentSize: segmentSize, synWasLost: synWasLost, initialSegments: initialSegments))
    }

    /// Goes on where an idle connection left off (RFC 5681 §4.1 takes the window from there).
    mutating func resume(window: UInt32, threshold: UInt32) {
        // RFC 9406 §4.3: HyStart++ is for the first slow start.
        let isKnown = threshold < UInt32(Int32.max)
        switch lossBased {
        case .newReno(var control):
            (control.window, control.threshold) = (window, threshold)
            if isKnown { control.hyStart.stop() }
            lossBased = .newReno(control)
        case .cubic(var control):
            (control.window, control.threshold) = (window, threshold)
            if isKnown { control.hyStart.stop() }
            lossBased = .cubic(control)
        }
    }

    /// From now on BBR decides, beginning with the window there is; `modelCost` bytes are charged for it.
    mutating func beginModel(
        segmentSize: Int, smoothedRoundTrip: Int64, random: UInt32, hasSelectiveAcknowledgments: Bool, now: Instant
    ) {
        var control = BBR(
            segmentSize: segmentSize, now: now, initialWindow: window, smoothedRoundTrip: smoothedRoundTrip,
            random: random)
        control.hasSelectiveAcknowledgments = hasSelectiveAcknowledgments
        bbr = ModelBased(control)
    }

    mutating func endModel() { bbr = nil }

    /// Bytes charged.
    var cost: Int { bbr == nil ? 0 : Congestion.modelCost }

    /// cwnd in octets.
    package var window: UInt32 {
        get {
            if let bbr { return bbr.control.window }
            switch lossBased {
            case .newReno(let control): return control.window
            case .cubic(let control): return control.window
            }
        }
        set {
            switch lossBased {
            case .newReno(var control):
                control.window = newValue
                lossBased = .newReno(control)
            case .cubic(var control):
                control.window = newValue
                lossBased = .cubic(control)
            }
        }
    }

    /// ssthresh in octets; a control that has none says the largest there is.
    package var threshold: UInt32 {
        if bbr != nil { return UInt32(Int32.max) }
        switch lossBased {
        case .newReno(let control): return control.threshold
        case .cubic(let control): return control.threshold
        }
    }

    /// Whether the window doubles in a round trip.
    package var isSlowStart: Bool {
        if let bbr { return bbr.control.state == .startup }
        return window < threshold
    }

    /// Octets a second, where the control itself says; `nil` where the window does.
    package var pacingRate: UInt64? { bbr.map { $0.control.pacingRate } }

    /// The most octets to send in one go, where the control says.
    package var sendQuantum: Int? { bbr.map { Int($0.control.sendQuantum) } }

    /// Whether recovery leads the window down by RFC 9937; else the control itself does.
    var reducesByDelivery: Bool { bbr == nil }

    // MARK: What it is

    package var kind: CongestionControl {
        if bbr != nil { return .bbr }
        switch lossBased {
        case .newReno: return .newReno
        case .cubic: return .cubic
        }
    }

    /// Where BBR stands; `nil` for the others.
    package var modelState: BBR.State? { bbr?.control.state }

    /// Whether slow start goes on a quarter as fast, because round trips grow longer (RFC 9406 §4.2).
    package var isConservative: Bool {
        guard bbr == nil, isSlowStart else { return false }
        switch lossBased {
        case .newReno(let control): return control.hyStart.phase == .conservative
        case .cubic(let control): return control.hyStart.phase == .conservative
        }
    }

    /// The same control, of another kind, goes on with the window there is. What it counted is void; the threshold stays
    /// where there is one, else it is the window, as no more is known of the path.
    func changed(to kind: CongestionControl, segmentSize: Int) -> Congestion {
        var result = Congestion(kind, segmentSize: segmentSize, synWasLost: false)
        result.resume(window: window, threshold: bbr == nil ? threshold : max(window, UInt32(segmentSize)))
        return result
    }

    // MARK: What happens

    /// An acknowledgment that delivered something.
    mutating func acknowledge(_ signal: CongestionSignal, _ sample: RateSample, _ rate: inout DeliveryRate) {
        if let bbr {
            bbr.control.acknowledge(signal, sample, &rate)
            return
        }
        // RFC 5681 §3.1: the window grows by what is newly acknowledged; a round trip is one whatever was.
        guard !signal.isInRecovery, signal.acknowledged > 0 || signal.roundTrip > 0 else { return }
        var signal = signal
        signal.delivered = signal.acknowledged
        switch lossBased {
        case .newReno(var control):
            control.acknowledge(signal)
            lossBased = .newReno(control)
        case .cubic(var control):
            control.acknowledge(signal)
            lossBased = .cubic(control)
        }
    }

    /// `octets` of a transmission, from `start` on, count as lost.
    func noteLost(
        _ record: Transmission, from start: SequenceNumber, octets: Int, _ rate: DeliveryRate, now: Instant
    ) {
        guard let bbr else { return }
        bbr.control.lose(record.stamp, record.word, octets: octets, from: start, rate, now: now)
    }

    /// A congestion event (RFC 5681 §3.1 (4), RFC 9438 §4.6): the threshold falls, and the window is led down to it.
    mutating func reduce(inFlight: Int, segmentSize: Int, isECN: Bool, now: Instant) {
        if let bbr {
            if !isECN { bbr.control.enterRecovery() }
            return
        }
        switch lossBased {
        case .newReno(var control):
            control.reduce(inFlight: inFlight, segmentSize: segmentSize, isECN: isECN, now: now)
            lossBased = .newReno(control)
        case .cubic(var control):
            control.reduce(inFlight: inFlight, segmentSize: segmentSize, isECN: isECN, now: now)
            lossBased = .cubic(control)
        }
    }

    /// Routers marked packets: the model of the path hears of it.
    func noteMarks(_ signal: CongestionSignal, _ sample: RateSample, _ rate: DeliveryRate) {
        bbr?.control.markCongestion(signal, sample, rate)
    }

    /// The repair is complete: the window is the threshold (RFC 9937 §6.3, RFC 6675 §5).
    mutating func endRecovery(segmentSize: Int) {
        if let bbr {
            bbr.control.endRecovery()
            return
        }
        window = max(threshold, UInt32(segmentSize))
        switch lossBased {
        case .newReno(var control):
            control.endRecovery(segmentSize: segmentSize)
            lossBased = .newReno(control)
        case .cubic(var control):
            control.endRecovery(segmentSize: segmentSize)
            lossBased = .cubic(control)
        }
    }

    /// RFC 5681 §3.1: the loss window. The threshold falls once for a window of data. `pipe` is what is in flight once the
    /// rest counts as lost.
    mutating func timeout(
        inFlight: Int, pipe: Int, segmentSize: Int, isFirst: Bool, wasRecovering: Bool, now: Instant
    ) {
        if let bbr {
            bbr.control.timeout(inFlight: pipe)
            return
        }
        let before = threshold
        switch lossBased {
        case .newReno(var control):
            control.timeout(inFlight: inFlight, segmentSize: segmentSize, isFirst: isFirst, now: now)
            // RFC 6675 §5.1: what recovery had taken from it does not come back.
            if wasRecovering { control.threshold = min(control.threshold, before) }
            lossBased = .newReno(control)
        case .cubic(var control):
            control.timeout(inFlight: inFlight, segmentSize: segmentSize, isFirst: isFirst, now: now)
            if wasRecovering { control.threshold = min(control.threshold, before) }
            lossBased = .cubic(control)
        }
    }

    /// RFC 5681 §4.1, RFC 2861 §3: nothing was sent for `idle` nanoseconds.
    mutating func restartAfterIdle(segmentSize: Int, initialSegments: Int, idle: Int64, timeout: Int64) {
        guard bbr == nil else { return }
        switch lossBased {
        case .newReno(var control):
            control.restartAfterIdle(
                segmentSize: segmentSize, initialSegments: initialSegments, idle: idle, rto: timeout)
            lossBased = .newReno(control)
        case .cubic(var control):
            control.restartAfterIdle(
                segmentSize: segmentSize, initialSegments: initialSegments, idle: idle, rto: timeout)
            lossBased = .cubic(control)
        }
    }

    /// RFC 2861 §3: for longer than a timeout the program has had no more than `used` octets to send at a time. A model of the
    /// path does not take a window for one.
    mutating func validate(used: Int, segmentSize: Int, initialSegments: Int) {
        guard bbr == nil else { return }
        switch lossBased {
        case .newReno(var control):
            control.validate(used: used, segmentSize: segmentSize, initialSegments: initialSegments)
            lossBased = .newReno(control)
        case .cubic(var control):
            control.validate(used: used, segmentSize: segmentSize, initialSegments: initialSegments)
            lossBased = .cubic(control)
        }
    }

    /// The program begins to send again when nothing was in flight and it had nothing to send.
    func noteRestart(_ rate: DeliveryRate, now: Instant) { bbr?.control.restartFromIdle(now: now, rate) }

    /// RFC 4015 §3, RFC 9438 §4.9: an event was none.
    mutating func restore(_ before: Congestion, _ rate: DeliveryRate) {
        if let bbr {
            bbr.control.undo(rate)
            return
        }
        switch (lossBased, before.lossBased) {
        case (.newReno(var control), .newReno(let old)):
            control.restore(old)
            lossBased = .newReno(control)
        case (.cubic(var control), .cubic(let old)):
            control.restore(old)
            lossBased = .cubic(control)
        default: break
        }
    }

    package func fingerprint(into hash: inout Fingerprint, _ origin: Fingerprint.Origin) {
        switch lossBased {
        case .newReno(let control): control.fingerprint(into: &hash, origin)
        case .cubic(let control): control.fingerprint(into: &hash, origin)
        }
        hash.add(bbr != nil)
        if let bbr { hash.add(UInt64(bbr.control.window) | UInt64(bbr.control.state.rawValue) &<< 32) }
    }
}
