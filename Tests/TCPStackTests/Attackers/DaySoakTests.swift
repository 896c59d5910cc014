import Glibc
import TCPEngine
import TCPStack
import TCPWire
import Testing

/// 24 hours of virtual time under all faults at once. `TCP_SOAK_CONNECTIONS` says how many connections the day has; a
/// million in release is the long form.
@Suite("A day on a bad wire")
struct DaySoakTests {
    /// How many the environment asks for.
    private static let connections =
        getenv("TCP_SOAK_CONNECTIONS").flatMap { Int(String(cString: $0)) } ?? attacks(10_000, debug: 200)

    @Test(
        "24 hours of 10⁴ connections that finish, half-close, abort, vanish, stall and are refused, on a wire that loses, doubles, delays and spoils: every octet is right, `audit()` finds nothing, and it ends at zero bytes and zero timers [B-8, B-9, B-26]",
        arguments: Family.allCases)
    func day(family: Family) {
        let empty = DaySoak.empty(family)
        let before = Work.nanoseconds
        let soak = DaySoak(family, connections: DaySoakTests.connections, seed: family == .ipv4 ? 24 : 86_400)
        soak.run()
        let seconds = Double(Work.nanoseconds - before) / 1e9
        #expect(soak.failure == nil)
        #expect(soak.now - .zero >= .seconds(80_000))
        #expect(soak.clientStack.memory.total == empty.client && soak.serverStack.memory.total == empty.server)
        #expect(soak.clientStack.nextDeadline == nil && soak.serverStack.nextDeadline == nil)
        #expect(soak.clientStack.audit() == nil && soak.serverStack.audit() == nil)
        #expect(soak.wire.lost > 0 && soak.wire.doubled > 0 && soak.wire.spoilt > 0 && soak.wire.late > 0)
        #expect(soak.clientStack.counters[.badChecksum] + soak.serverStack.counters[.badChecksum] > 0)
        for kind in DaySoak.Kind.allCases {
            let (begun, proper) = (soak.begun[Int(kind.rawValue)], soak.proper[Int(kind.rawValue)])
            // A reset may be lost, and the wire may carry nothing for three seconds.
            #expect(begun > 0 && proper * 100 >= begun * 95, "\(kind): \(proper) of \(begun) as they should")
        }
        let rate = Int(Double(DaySoakTests.connections) / max(seconds, 0.001))
        print(
            "soak, \(family): \(DaySoakTests.connections) connections, \(soak.wire.carried) packets, \(soak.octets) octets,",
            "\(soak.wire.lost) lost, \(soak.wire.spoilt) spoilt, \(soak.audits) audits, at most \(soak.mostConnections)",
            "connections and \(soak.mostMemory) bytes; errors \(soak.errors); \(rate) connections a second of processor time"
        )
    }
}
