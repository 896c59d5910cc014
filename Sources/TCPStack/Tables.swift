import TCPEngine
import TCPWire

/// A connection's place in an intrusive list.
struct ListLinks {
    var previous = UInt32.max
    var next = UInt32.max
}

/// The ends of an intrusive list of connections.
struct ListEnds {
    var head = UInt32.max
    var tail = UInt32.max

    var isEmpty: Bool { head == .max }
}

/// A connection as its stack keeps it.
struct ConnectionRecord: ~Copyable {
    struct Marks: OptionSet {
        var rawValue: UInt8
        static let inReadyList = Marks(rawValue: 1)
        static let inTransmitList = Marks(rawValue: 2)
        /// The flow table finds it.
        static let inTable = Marks(rawValue: 4)
        /// Its program has its handle.
        static let accepted = Marks(rawValue: 8)
        static let inOrphanList = Marks(rawValue: 16)
        static let inMemoryList = Marks(rawValue: 32)
        static let inShareList = Marks(rawValue: 64)
        /// It opened by Fast Open, and its listener counts it as pending (RFC 7413 §5.1).
        static let pendingFastOpen = Marks(rawValue: 128)
    }

    var key: FlowKey
    var marks: Marks = []
    var timer = TimerNode()
    var generation: UInt32
    /// While it is pending: its listener's slot.
    var listener: UInt16 = 0
    /// In the list of those with events; once it is released, in the list of orphans.
    var ready = ListLinks()
    var transmit = ListLinks()
    /// In a list of those whose writes were cut short for want of memory.
    var waiting = ListLinks()
    var connection: Connection
}

/// A half-open or a TIME-WAIT connection, in 52 octets.
struct SmallEntry: ~Copyable {
    struct Info: OptionSet {
        var rawValue: UInt16
        static let timeWait = Info(rawValue: 1)
        static let timestamps = Info(rawValue: 2)
        static let sack = Info(rawValue: 4)
        /// The SYN asked for a Fast Open cookie, or brought one that is not good.
        static let cookieAsked = Info(rawValue: 8)
        /// A SYN-ACK or an acknowledgment waits in the control queue.
        static let replyDue = Info(rawValue: 16)
        /// Bits 5...7: whether the second in which challenges were last answered was odd, and how many were, 0...3.
        var challenges: UInt8 {
            get { UInt8(rawValue &>> 5 & 7) }
            set { rawValue = rawValue & 0xFF1F | UInt16(newValue & 7) &<< 5 }
        }
        /// SYN-ACKs sent again, in bits 8...11; the peer's window scale in bits 12...15, 15 where it offered none.
        var retries: Int {
            get { Int(rawValue &>> 8 & 15) }
            set { rawValue = rawValue & 0xF0FF | UInt16(min(newValue, 15)) &<< 8 }
        }
        var scale: UInt8? {
            get { rawValue &>> 12 == 15 ? nil : UInt8(rawValue &>> 12) }
            set { rawValue = rawValue & 0x0FFF | UInt16(newValue.map { min($0, 14) } ?? 15) &<< 12 }
        }
    }

    var key: FlowKey
    var info: Info
    var timer = TimerNode()
    /// Half-open: ISS. TIME-WAIT: SND.NXT.
    var send: SequenceNumber
    /// Half-open: IRS. TIME-WAIT: RCV.NXT.
    var receive: SequenceNumber
    /// TS.Recent.
    var timestamp: UInt32
    /// Half-open: the peer's MSS, zero when it named none. TIME-WAIT: nothing.
    var segmentSize: UInt16
    /// Half-open: its listener's slot in ten bits, and what was agreed on of Explicit Congestion Notification.
    var shared: UInt16

    /// Slots of listeners there can be.
    static let listenerLimit = 1 << 10

    var listener: UInt16 {
        get { shared & 1023 }
        set { shared = shared & ~1023 | newValue & 1023 }
    }

    var ecn: AgreedECN {
        get { AgreedECN(rawValue: UInt8(shared &>> 10)) }
        set { shared = shared & 1023 | UInt16(newValue.rawValue) &<< 10 }
    }
}

/// What a SYN asked for of Explicit Congestion Notification, and got.
struct AgreedECN {
    private var bits: UInt8 = 0

    init(_ feedback: ECN.Feedback = .none, arrivedAs codepoint: ECNCodepoint = .notCapable) {
        bits = feedback.rawValue | codepoint.rawValue &<< 2
    }

    var feedback: ECN.Feedback { ECN.Feedback(rawValue: bits & 3) ?? .none }
    /// The ECN field of the latest SYN (RFC 9768 §3.1.5).
    var arrivedAs: ECNCodepoint {
        get { ECNCodepoint(rawValue: bits &>> 2 & 3) ?? .notCapable }
        set { bits = bits & ~12 | newValue.rawValue &<< 2 }
    }
    /// A SYN or SYN-ACK without ECN has come or gone: nothing leaves as ECN-capable.
    var sendsPlain: Bool {
        get { bits & 16 != 0 }
        set { bits = newValue ? bits | 16 : bits & ~16 }
    }
    /// The SYN came again: its SYN-ACK has no option of accurate ECN (RFC 9768 §3.2.3.2.2).
    var isAgain: Bool {
        get { bits & 32 != 0 }
        set { bits = newValue ? bits | 32 : bits & ~32 }
    }
    var rawValue: UInt8 { bits }

    init(rawValue: UInt8) { bits = rawValue & 63 }
}

/// Everything the flow table and the timing wheel point into.
struct Tables: ~Copyable, FlowKeys {
    var connections = Slab<ConnectionRecord>()
    var entries = Slab<SmallEntry>()

    func key(of id: FlowID) -> FlowKey {
        id.isEntry ? entries[id.slot].key : connections[id.slot].key
    }

    subscript(timer id: FlowID) -> TimerNode {
        get { id.isEntry ? entries[id.slot].timer : connections[id.slot].timer }
        set {
            if id.isEntry {
                entries[id.slot].timer = newValue
            } else {
                connections[id.slot].timer = newValue
            }
        }
    }
}
