public import TCPEngine
import TCPWire

/// What TCP knows of a connection and of its path at the moment: what kernels tell as `TCP_INFO`. `Stack.info(of:)` makes one;
/// it costs about what a short segment costs, and nothing while nobody asks.
///
/// Octets are payload, SYN and FIN not counted. Counts of rare things stay at 65,535 once they are there.
public struct ConnectionInfo: Sendable, Hashable {
    // MARK: State

    /// The RFC's state.
    public var state: State
    /// What keeps the sender from sending more now.
    public var limit: SendLimit
    /// Whether timestamps (RFC 7323 §3), selective acknowledgment (RFC 2018) and window scaling (RFC 7323 §2) were agreed.
    public var usesTimestamps: Bool
    /// See `usesTimestamps`.
    public var usesSelectiveAcknowledgment: Bool
    /// See `usesTimestamps`.
    public var usesWindowScaling: Bool
    /// Whether octets travelled with the SYN and were taken (RFC 7413).
    public var openedFast: Bool
    /// Whether Explicit Congestion Notification was agreed, of either kind (RFC 3168 §6.1.1, RFC 9768 §3.1).
    public var usesExplicitCongestionNotification: Bool

    // MARK: Round trips (RFC 6298)

    /// SRTT; zero before the first measurement.
    public var smoothedRTT: Duration
    /// RTTVAR.
    public var variationRTT: Duration
    /// The least round trip of the last five minutes (RFC 8985 §6.2 step 1); zero before the first measurement.
    public var leastRTT: Duration
    /// The retransmission timeout in force, back-off included.
    public var retransmissionTimeout: Duration
    /// How often it was doubled since the last measurement: 0...255.
    public var backoff: Int

    // MARK: Congestion control

    /// The congestion control in force; of a connection that has sent nothing lately the one that is to be.
    public var congestionControl: CongestionControl
    /// Where it stands.
    public var phase: CongestionPhase
    /// cwnd in octets.
    public var congestionWindow: Int
    /// ssthresh in octets; `nil` before anything set it, and with BBR, which has none.
    public var slowStartThreshold: Int?
    /// Octets a second at which what the window allows leaves; `nil` while it leaves at once.
    public var pacingRate: Int?
    /// Octets a second that the path delivered of late (draft-ietf-ccwg-bbr §4.1), in steps of eight, up to 34 GB/s; `nil`
    /// before the first sample.
    public var deliveryRate: Int?
    /// Whether that is no more than what the program had to send, and the path may deliver more.
    public var isDeliveryRateApplicationLimited: Bool

    // MARK: What is in flight

    /// Octets sent and not acknowledged (RFC 5681 §2, FlightSize).
    public var inFlight: Int
    /// Of these, octets believed to be in the network: neither reported to have arrived nor lost (RFC 6675 §2, pipe).
    public var pipe: Int
    /// Of these, octets that SACK reports to have arrived.
    public var selectivelyAcknowledged: Int
    /// Of these, octets that count as lost and were not sent again yet.
    public var lostInFlight: Int
    /// Octets written and never sent.
    public var unsent: Int

    // MARK: Losses and their repair

    /// What is being repaired.
    public var repair: LossRepair
    /// Segments sent again; SYNs count.
    public var retransmittedSegments: Int
    /// Octets sent again.
    public var retransmittedOctets: UInt64
    /// Octets that were found lost, as often as they were.
    public var lostOctets: UInt64
    /// Fast recoveries begun (RFC 5681 §3.2, RFC 6675 §5).
    public var recoveries: Int
    /// Retransmission timeouts with data in flight.
    public var timeouts: Int
    /// Recoveries that turned out not to have been called for, and were taken back (RFC 4015).
    public var spuriousRecoveries: Int
    /// Tail loss probes sent (RFC 8985 §7.3).
    public var tailLossProbes: Int
    /// D-SACKs that came: segments that the peer had already (RFC 2883).
    public var duplicateReports: Int
    /// Whether segments were ever seen to arrive out of order (RFC 8985 §6.2 step 3).
    public var hasSeenReordering: Bool
    /// How many quarters of `leastRTT` what was overtaken is waited for, once reordering was seen (RFC 8985 §6.2 step 4).
    public var reorderingWindow: Int

    // MARK: What went and came

    /// Octets that were sent at least once.
    public var octetsSent: UInt64
    /// Octets that the peer has acknowledged.
    public var octetsAcknowledged: UInt64
    /// Octets that came in order.
    public var octetsReceived: UInt64
    // MARK: Sizes

    /// The largest payload of a segment to the peer, in octets.
    public var maximumSegmentSize: Int
    /// The largest packet that the path is believed to carry, in octets.
    public var pathMTU: Int
    /// SND.WND: the peer's window in octets.
    public var sendWindow: Int
    /// RCV.WND: the window that the peer was told, in octets.
    public var receiveWindow: Int
}

/// Where congestion control stands.
public enum CongestionPhase: UInt8, Sendable, CaseIterable {
    /// CUBIC and NewReno: the window doubles in a round trip (RFC 5681 §3.1).
    case slowStart
    /// The same a quarter as fast, because round trips grow longer (RFC 9406 §4.2).
    case conservativeSlowStart
    /// CUBIC and NewReno: congestion avoidance.
    case avoidance
    /// BBR: Startup, Drain, the four of ProbeBW, ProbeRTT (draft-ietf-ccwg-bbr §5.3).
    case startup
    /// See `startup`.
    case drain
    /// See `startup`.
    case probeDown
    /// See `startup`.
    case probeCruise
    /// See `startup`.
    case probeRefill
    /// See `startup`.
    case probeUp
    /// See `startup`.
    case probeRoundTrip
}

/// What a sender is repairing.
public enum LossRepair: UInt8, Sendable, CaseIterable {
    /// Nothing.
    case none
    /// The window comes down because routers marked packets (RFC 3168 §6.1.2); nothing was lost.
    case reduction
    /// Fast recovery (RFC 5681 §3.2, RFC 6675 §5).
    case fastRecovery
    /// What a retransmission timeout found lost.
    case timeout
    /// Segments that were larger than the path carries go again in smaller ones (RFC 1191, RFC 4821).
    case resegmentation
}

extension Stack {
    /// What TCP knows of the connection and of its path; `nil` for a stale handle. Its cost does not grow with what is in flight.
    public func info(of id: ConnectionID) -> ConnectionInfo? {
        guard let slot = slot(id) else { return nil }
        let isIPv4 = addresses[Int(tables.connections[slot].key.local)].prefix.address.isIPv4
        let link = interface(of: tables.connections[slot].key)
        return tables.connections[slot].connection.info(
            linkMTU: interfaces[link].mtu(isIPv4: isIPv4), headers: isIPv4 ? 40 : 60, context)
    }
}

extension Connection {
    fileprivate func info(linkMTU: Int, headers: Int, _ context: borrowing Context) -> ConnectionInfo {
        let threshold = slowStartThreshold
        let pacing = state == .closed ? 0 : pacingRate(context)
        return ConnectionInfo(
            state: state, limit: sendLimit(context), usesTimestamps: usesTimestamps,
            usesSelectiveAcknowledgment: usesSACK, usesWindowScaling: usesScaling, openedFast: openedFast,
            usesExplicitCongestionNotification: ecn.feedback != .none, smoothedRTT: .nanoseconds(rtt.smoothed),
            variationRTT: .nanoseconds(rtt.variation), leastRTT: .nanoseconds(leastRoundTrip),
            retransmissionTimeout: .nanoseconds(rtt.timeout(context.parameters)), backoff: Int(rtt.backoff),
            congestionControl: hasSender ? congestion.kind : congestionControl, phase: congestionPhase,
            congestionWindow: Int(congestionWindow),
            slowStartThreshold: threshold >= UInt32(Int32.max) ? nil : Int(threshold),
            pacingRate: pacing == 0 ? nil : Int(clamping: pacing),
            deliveryRate: counters.deliveryRate == 0 ? nil : Int(counters.deliveryRate),
            isDeliveryRateApplicationLimited: counters.isRateApplicationLimited, inFlight: inFlight, pipe: pipe,
            selectivelyAcknowledged: transmissions.sackedOctets, lostInFlight: transmissions.lostOctets,
            unsent: unsent, repair: lossRepair, retransmittedSegments: Int(retransmittedSegments),
            retransmittedOctets: counters.retransmittedOctets, lostOctets: counters.lostOctets,
            recoveries: Int(counters.recoveries), timeouts: Int(counters.timeouts),
            spuriousRecoveries: Int(spuriousRecoveries), tailLossProbes: Int(counters.tailProbes),
            duplicateReports: Int(counters.duplicateReports), hasSeenReordering: counters.hasSeenReordering,
            reorderingWindow: Int(rack.multiplier), octetsSent: octetsSent, octetsAcknowledged: octetsAcknowledged,
            octetsReceived: octetsReceived, maximumSegmentSize: segmentSize,
            pathMTU: min(linkMTU, Int(path.size) &+ headers), sendWindow: Int(send.window),
            receiveWindow: advertisedWindow)
    }

    private var congestionPhase: CongestionPhase {
        guard hasSender else {
            if congestionControl == .bbr { return .startup }
            return congestionWindow < slowStartThreshold ? .slowStart : .avoidance
        }
        return switch congestion.modelState {
        case .startup: .startup
        case .drain: .drain
        case .probeDown: .probeDown
        case .probeCruise: .probeCruise
        case .probeRefill: .probeRefill
        case .probeUp: .probeUp
        case .probeRoundTrip: .probeRoundTrip
        case nil: !congestion.isSlowStart ? .avoidance : congestion.isConservative ? .conservativeSlowStart : .slowStart
        }
    }

    private var lossRepair: LossRepair {
        switch recovery.phase {
        case .open: .none
        case .reduced: .reduction
        case .fast: .fastRecovery
        case .timeout: .timeout
        case .resized, .divided: .resegmentation
        }
    }
}
