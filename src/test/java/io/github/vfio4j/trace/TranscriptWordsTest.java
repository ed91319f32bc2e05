package io.github.vfio4j.trace;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** Calls and answers in words. In these texts, single quotes stand for the double ones. */
class TranscriptWordsTest {

    @Test
    void everyCallIsALineWithItsAnswer() throws IOException {
        String transcript = """
                {'transcript':1,'kernel':'7.2','devices':[{'kind':'mtty','name':'83b8f4f2-509f-382f-3c1e-e6bfe0fa1001','group':9,'ports':1}]}
                {'op':'open','as':'c','path':'/dev/vfio/vfio','flags':2,'result':'fd'}
                {'op':'open','as':'g','path':'/dev/vfio/9','flags':2,'result':'fd'}
                {'op':'open','path':'/dev/vfio/10','flags':2,'result':-2}
                {'op':'ioctl','fd':'g','request':'0x3b68','arg':'00000000','fds':[{'offset':0,'name':'c'}],'result':0}
                {'op':'ioctl','fd':'c','request':'0x3b66','arg':3,'result':0}
                {'op':'ioctl','fd':'g','as':'d','request':'0x3b6a','arg':'38336238663466322d353039662d333832662d336331652d65366266653066613130303100','result':'fd'}
                {'op':'ioctl','fd':'c','request':'0x3b71','arg':'2000000003000000','result':-22}
                {'op':'ioctl','fd':'d','request':'0x3b75','arg':'10000000020002000300000000000000','out':'10000000020002000300000000000000','outFds':[{'offset':12,'name':'data'}],'result':0}
                {'op':'read','fd':'data','length':4,'data':'00000000','result':4}
                {'op':'ioctl','fd':'d','request':'0x3b75','arg':'08000000ffff0400','anyOf':[-25,-22]}
                {'op':'close','fd':'data','result':0}
                """;
        assertThat(Transcript
                .read(new ByteArrayInputStream(transcript.replace('\'', '"').getBytes(StandardCharsets.UTF_8)))
                .describe()).containsExactly("open /dev/vfio/vfio = c", "open /dev/vfio/9 = g",
                        "open /dev/vfio/10 = ENOENT (no such file or directory)",
                        "VFIO_GROUP_SET_CONTAINER, with c, on g = 0", "VFIO_SET_IOMMU 3 on c = 0",
                        "VFIO_GROUP_GET_DEVICE_FD \"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001\" on g = d",
                        "VFIO_IOMMU_MAP_DMA, argsz 32, flags 0x3 on c = EINVAL (invalid argument)",
                        "VFIO_DEVICE_FEATURE SET MIG_DEVICE_STATE, argsz 16 on d = 0, data",
                        "read 4 bytes from data = 4",
                        "VFIO_DEVICE_FEATURE PROBE feature 65535, argsz 8 on d = ENOTTY (inappropriate ioctl for device)"
                                + " or EINVAL (invalid argument)",
                        "close data = 0");
    }
}
