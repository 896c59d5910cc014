/// What `getsockopt(TCP_INFO)` tells of a connection: the fields of Linux's `struct tcp_info` that have a meaning here. Times
/// are microseconds unless said otherwise, windows and counts are segments where Linux counts segments. How long a sender was
/// busy, and limited by what (`tcpi_busy_time`, `tcpi_rwnd_limited`, `tcpi_sndbuf_limited`), is not kept and reads as zero.
public struct TCPInfo: Hashable, Sendable {
    /// `tcpi_state`: TCP_ESTABLISHED … of `Linux`.
    public var state: UInt8 = 0
    /// `tcpi_ca_state`: TCP_CA_Open, Disorder, Recovery, Loss.
    public var congestionState: UInt8 = 0
    /// `tcpi_retransmits`: timeouts in a row without an answer.
    public var retransmits: UInt8 = 0
    /// `tcpi_probes`: window or keep-alive probes without an answer.
    public var probes: UInt8 = 0
    /// `tcpi_backoff`: how often the timeout was doubled.
    public var backoff: UInt8 = 0
    /// `tcpi_options`: TCPI_OPT_TIMESTAMPS, TCPI_OPT_SACK, TCPI_OPT_WSCALE, TCPI_OPT_SYN_DATA.
    public var options: UInt8 = 0
    /// `tcpi_snd_wscale`, the peer's.
    public var sendWindowScale: UInt8 = 0
    /// `tcpi_rcv_wscale`, ours.
    public var receiveWindowScale: UInt8 = 0
    /// `tcpi_rto`.
    public var retransmissionTimeout: UInt32 = 0
    /// `tcpi_ato`: how long an acknowledgment may wait.
    public var acknowledgmentTimeout: UInt32 = 0
    /// `tcpi_snd_mss` in octets.
    public var sendSegmentSize: UInt32 = 0
    /// `tcpi_rcv_mss` in octets.
    public var receiveSegmentSize: UInt32 = 0
    /// `tcpi_unacked`: segments in flight; of a listener, connections that wait for `accept`.
    public var unacknowledged: UInt32 = 0
    /// `tcpi_sacked`: segments; of a listener, its backlog.
    public var sacked: UInt32 = 0
    /// `tcpi_lost`: segments.
    public var lost: UInt32 = 0
    /// `tcpi_retrans`: segments sent again and not acknowledged.
    public var retransmitted: UInt32 = 0
    /// `tcpi_last_data_sent` in milliseconds ago.
    public var lastDataSent: UInt32 = 0
    /// `tcpi_last_data_recv` in milliseconds ago.
    public var lastDataReceived: UInt32 = 0
    /// `tcpi_last_ack_recv` in milliseconds ago.
    public var lastAcknowledgmentReceived: UInt32 = 0
    /// `tcpi_pmtu` in octets.
    public var pathMTU: UInt32 = 0
    /// `tcpi_rtt`.
    public var smoothedRTT: UInt32 = 0
    /// `tcpi_rttvar`.
    public var variationRTT: UInt32 = 0
    /// `tcpi_snd_ssthresh` in segments; 2³¹ − 1 before the first loss.
    public var slowStartThreshold: UInt32 = 0
    /// `tcpi_snd_cwnd` in segments.
    public var congestionWindow: UInt32 = 0
    /// `tcpi_advmss` in octets.
    public var advertisedSegmentSize: UInt32 = 0
    /// `tcpi_reordering`: duplicates that count as a loss: always three. That reordering was seen widens a time instead (RFC
    /// 8985), and `reorderingSeen` tells.
    public var reordering: UInt32 = 0
    /// `tcpi_rcv_space` in octets.
    public var receiveSpace: UInt32 = 0
    /// `tcpi_total_retrans`.
    public var totalRetransmitted: UInt32 = 0
    /// `tcpi_pacing_rate` in octets a second; all ones while the window leaves at once.
    public var pacingRate = UInt64.max
    /// `tcpi_max_pacing_rate` in octets a second: SO_MAX_PACING_RATE; all ones is without limit.
    public var maximumPacingRate = UInt64.max
    /// `tcpi_bytes_acked`.
    public var octetsAcknowledged: UInt64 = 0
    /// `tcpi_bytes_received`.
    public var octetsReceived: UInt64 = 0
    /// `tcpi_segs_out`.
    public var segmentsSent: UInt32 = 0
    /// `tcpi_segs_in`.
    public var segmentsReceived: UInt32 = 0
    /// `tcpi_notsent_bytes`.
    public var notSent: UInt32 = 0
    /// `tcpi_min_rtt`; all ones before the first measurement.
    public var leastRTT = UInt32.max
    /// `tcpi_data_segs_in`.
    public var dataSegmentsReceived: UInt32 = 0
    /// `tcpi_data_segs_out`.
    public var dataSegmentsSent: UInt32 = 0
    /// `tcpi_bytes_sent`, octets sent again included.
    public var octetsSent: UInt64 = 0
    /// `tcpi_delivery_rate` in octets a second; zero before the first sample.
    public var deliveryRate: UInt64 = 0
    /// `tcpi_delivery_rate_app_limited`: whether the program, not the path, may have set it.
    public var isDeliveryRateApplicationLimited = false
    /// `tcpi_delivered` in segments of `sendSegmentSize`, as far as octets tell.
    public var delivered: UInt32 = 0
    /// `tcpi_bytes_retrans`.
    public var octetsRetransmitted: UInt64 = 0
    /// `tcpi_dsack_dups`: D-SACKs that came.
    public var duplicateReports: UInt32 = 0
    /// `tcpi_reord_seen`: one once segments were seen to arrive out of order; Linux counts how often.
    public var reorderingSeen: UInt32 = 0
    /// `tcpi_total_rto`: timeouts with data in flight.
    public var timeouts: UInt32 = 0
    /// `tcpi_snd_wnd` in octets.
    public var sendWindow: UInt32 = 0
    /// `tcpi_rcv_wnd` in octets.
    public var receiveWindow: UInt32 = 0

    /// All zero.
    public init() {}

    /// Every field by the name it has in C, as scripts write it; a field without a meaning here is not among them.
    public var fields: [(name: String, value: Int)] {
        layout.map { ($0.name, Int(truncatingIfNeeded: $0.value)) }
            + [
                ("tcpi_snd_wscale", Int(sendWindowScale)), ("tcpi_rcv_wscale", Int(receiveWindowScale)),
                ("tcpi_delivery_rate_app_limited", isDeliveryRateApplicationLimited ? 1 : 0),
            ]
    }

    /// The field of that name in C; `nil` for one that has no meaning here.
    public func value(of name: String) -> Int? { fields.first { $0.name == name }?.value }

    /// Octets of the structure.
    public static var size: Int { 248 }

    /// The structure as Linux lays it out.
    public var octets: [UInt8] {
        var result = [UInt8](repeating: 0, count: TCPInfo.size)
        for field in layout {
            for index in 0..<field.width {
                result[field.offset + index] = UInt8(field.value >> (8 * UInt64(index)) & 255)
            }
        }
        result[6] = sendWindowScale & 15 | receiveWindowScale << 4
        result[7] = isDeliveryRateApplicationLimited ? 1 : 0
        return result
    }

    package var layout: [(name: String, offset: Int, width: Int, value: UInt64)] {
        [
            ("tcpi_state", 0, 1, UInt64(state)), ("tcpi_ca_state", 1, 1, UInt64(congestionState)),
            ("tcpi_retransmits", 2, 1, UInt64(retransmits)), ("tcpi_probes", 3, 1, UInt64(probes)),
            ("tcpi_backoff", 4, 1, UInt64(backoff)), ("tcpi_options", 5, 1, UInt64(options)),
            ("tcpi_rto", 8, 4, UInt64(retransmissionTimeout)), ("tcpi_ato", 12, 4, UInt64(acknowledgmentTimeout)),
            ("tcpi_snd_mss", 16, 4, UInt64(sendSegmentSize)), ("tcpi_rcv_mss", 20, 4, UInt64(receiveSegmentSize)),
            ("tcpi_unacked", 24, 4, UInt64(unacknowledged)), ("tcpi_sacked", 28, 4, UInt64(sacked)),
            ("tcpi_lost", 32, 4, UInt64(lost)), ("tcpi_retrans", 36, 4, UInt64(retransmitted)),
            ("tcpi_last_data_sent", 44, 4, UInt64(lastDataSent)),
            ("tcpi_last_data_recv", 52, 4, UInt64(lastDataReceived)),
            ("tcpi_last_ack_recv", 56, 4, UInt64(lastAcknowledgmentReceived)),
            ("tcpi_pmtu", 60, 4, UInt64(pathMTU)), ("tcpi_rtt", 68, 4, UInt64(smoothedRTT)),
            ("tcpi_rttvar", 72, 4, UInt64(variationRTT)), ("tcpi_snd_ssthresh", 76, 4, UInt64(slowStartThreshold)),
            ("tcpi_snd_cwnd", 80, 4, UInt64(congestionWindow)), ("tcpi_advmss", 84, 4, UInt64(advertisedSegmentSize)),
            ("tcpi_reordering", 88, 4, UInt64(reordering)), ("tcpi_rcv_space", 96, 4, UInt64(receiveSpace)),
            ("tcpi_total_retrans", 100, 4, UInt64(totalRetransmitted)),
            ("tcpi_pacing_rate", 104, 8, pacingRate), ("tcpi_max_pacing_rate", 112, 8, maximumPacingRate),
            ("tcpi_bytes_acked", 120, 8, octetsAcknowledged), ("tcpi_bytes_received", 128, 8, octetsReceived),
            ("tcpi_segs_out", 136, 4, UInt64(segmentsSent)), ("tcpi_segs_in", 140, 4, UInt64(segmentsReceived)),
            ("tcpi_notsent_bytes", 144, 4, UInt64(notSent)),
            ("tcpi_min_rtt", 148, 4, UInt64(leastRTT)), ("tcpi_data_segs_in", 152, 4, UInt64(dataSegmentsReceived)),
            ("tcpi_data_segs_out", 156, 4, UInt64(dataSegmentsSent)),
            ("tcpi_delivery_rate", 160, 8, deliveryRate), ("tcpi_delivered", 192, 4, UInt64(delivered)),
            ("tcpi_bytes_sent", 200, 8, octetsSent), ("tcpi_bytes_retrans", 208, 8, octetsRetransmitted),
            ("tcpi_dsack_dups", 216, 4, UInt64(duplicateReports)),
            ("tcpi_reord_seen", 220, 4, UInt64(reorderingSeen)),
            ("tcpi_snd_wnd", 228, 4, UInt64(sendWindow)), ("tcpi_rcv_wnd", 232, 4, UInt64(receiveWindow)),
            ("tcpi_total_rto", 240, 2, UInt64(min(timeouts, 65_535))),
        ]
    }
}
