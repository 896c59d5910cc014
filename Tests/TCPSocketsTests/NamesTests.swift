import TCPSockets
import Testing

@Suite("Names of the socket interface")
struct NamesTests {
    @Test("Names that scripts write stand for Linux's numbers, FreeBSD's names for the same thing too")
    func values() {
        #expect(Linux.value(of: "SO_REUSEADDR") == 2)
        #expect(Linux.value(of: "EPOLLET") == 1 << 31)
        #expect(Linux.value(of: "TCP_NOPUSH") == Linux.value(of: "TCP_CORK"))
        #expect(Linux.value(of: "SO_UNHEARD_OF") == nil)
    }

    @Test("Errors have names, and names have errors")
    func errors() {
        #expect(Errno(rawValue: 111).name == "ECONNREFUSED")
        #expect(Errno(name: "EWOULDBLOCK") == .EAGAIN)
        #expect(Errno(name: "ENOSUCHTHING") == nil)
    }

    @Test("TCP_INFO is laid out as Linux has it")
    func information() {
        var info = TCPInfo()
        info.state = 1
        info.retransmissionTimeout = 0x0403_0201
        info.sendWindowScale = 7
        info.receiveWindowScale = 5
        info.octetsAcknowledged = 1 << 40
        info.leastRTT = 0x0807_0605
        info.deliveryRate = 1 << 32
        info.isDeliveryRateApplicationLimited = true
        info.duplicateReports = 3
        info.timeouts = 70_000
        let octets = info.octets
        #expect(octets.count == 248)
        #expect(octets[0] == 1)
        #expect(Array(octets[8..<12]) == [1, 2, 3, 4])
        #expect(octets[6] == 0x57)
        #expect(octets[125] == 1)
        #expect(octets[7] == 1)
        #expect(Array(octets[148..<152]) == [5, 6, 7, 8])
        #expect(octets[164] == 1 && octets[216] == 3)
        #expect(octets[104..<120].allSatisfy { $0 == 255 })
        #expect(Array(octets[240..<244]) == [255, 255, 0, 0])
        #expect(info.value(of: "tcpi_rcv_wscale") == 5)
        #expect(info.value(of: "tcpi_fackets") == nil)
    }
}
