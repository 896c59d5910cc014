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
    }

    var key: FlowKey
    var marks: Marks = []
    var timer = TimerNode()
    var generation: UInt32
    var ready = ListLinks()
    var transmit = ListLinks()
    var connection: Connection
}

/// A half-open or a TIME-WAIT connection, in 52 octets.
struct SmallEntry: ~Copyable {
    struct Info: OptionSet {
        var rawValue: UInt16
        static let timeWait = Info(rawValue: 1)
        static let timestamps = Info(rawValue: 2)
        static let sack = Info(rawValue: 4)
        static let scales = Info(rawValue: 8)
        /// A SYN-ACK or an acknowledgment waits in the control queue.
        static let replyDue = Info(rawValue: 16)
        /// Bits 5...7: whether the second in which challenges were last answered was odd, and how many were, 0...3.
        var challenges: UInt8 {
            get { UInt8(rawValue &>> 5 & 7) }
            set { rawValue = rawValue & 0xFF1F | UInt16(newValue & 7) &<< 5 }
        }
        /// SYN-ACKs sent again, in bits 8...11; the peer's window scale in bits 12...15.
        var retries: Int {
            get { Int(rawValue &>> 8 & 15) }
            set { rawValue = rawValue & 0xF0FF | UInt16(min(newValue, 15)) &<< 8 }
        }
        var scale: UInt8 {
            get { UInt8(rawValue &>> 12) }
            set { rawValue = rawValue & 0x0FFF | UInt16(min(newValue, 14)) &<< 12 }
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
    /// Half-open: its listener's slot.
    var listener: UInt16
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
