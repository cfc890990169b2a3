; ModuleID = 'signatures.c'
source_filename = "signatures.c"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

@.str = private unnamed_addr constant [6 x i8] c"%d %d\00", align 1
@.str.1 = private unnamed_addr constant [5 x i8] c"%ld\0A\00", align 1

; Function Attrs: nounwind uwtable
define dso_local range(i32 0, 2) i32 @main() local_unnamed_addr #0 {
  %1 = alloca i32, align 4
  %2 = alloca i32, align 4
  call void @llvm.lifetime.start.p0(i64 4, ptr nonnull %1) #5
  call void @llvm.lifetime.start.p0(i64 4, ptr nonnull %2) #5
  %3 = call i32 (ptr, ...) @__isoc99_scanf(ptr noundef nonnull @.str, ptr noundef nonnull %1, ptr noundef nonnull %2)
  %4 = icmp ne i32 %3, 2
  %5 = load i32, ptr %1, align 4
  %6 = icmp slt i32 %5, 1
  %7 = select i1 %4, i1 true, i1 %6
  %8 = load i32, ptr %2, align 4
  %9 = icmp slt i32 %8, 1
  %10 = select i1 %7, i1 true, i1 %9
  br i1 %10, label %113, label %11

11:                                               ; preds = %0
  %12 = zext nneg i32 %5 to i64
  %13 = zext nneg i32 %8 to i64
  %14 = shl nuw nsw i64 %12, 3
  %15 = mul i64 %14, %13
  %16 = call noalias ptr @malloc(i64 noundef %15) #6
  %17 = icmp eq ptr %16, null
  br i1 %17, label %113, label %18

18:                                               ; preds = %11
  %19 = mul nuw nsw i64 %13, %12
  %20 = add nsw i64 %19, -1
  %21 = and i64 %19, 3
  %22 = icmp ult i64 %20, 3
  br i1 %22, label %25, label %23

23:                                               ; preds = %18
  %24 = and i64 %19, 4611686018427387900
  br label %43

25:                                               ; preds = %43, %18
  %26 = phi i64 [ 0, %18 ], [ %62, %43 ]
  %27 = phi i64 [ 1, %18 ], [ %60, %43 ]
  %28 = icmp eq i64 %21, 0
  br i1 %28, label %39, label %29

29:                                               ; preds = %25, %29
  %30 = phi i64 [ %36, %29 ], [ %26, %25 ]
  %31 = phi i64 [ %34, %29 ], [ %27, %25 ]
  %32 = phi i64 [ %37, %29 ], [ 0, %25 ]
  %33 = mul i64 %31, 6364136223846793005
  %34 = add i64 %33, 1442695040888963407
  %35 = getelementptr inbounds i64, ptr %16, i64 %30
  store i64 %34, ptr %35, align 8, !tbaa !5
  %36 = add nuw nsw i64 %30, 1
  %37 = add i64 %32, 1
  %38 = icmp eq i64 %37, %21
  br i1 %38, label %39, label %29, !llvm.loop !9

39:                                               ; preds = %29, %25
  %40 = icmp sgt i32 %5, 0
  br i1 %40, label %41, label %69

41:                                               ; preds = %39
  %42 = zext nneg i32 %5 to i64
  br label %72

43:                                               ; preds = %43, %23
  %44 = phi i64 [ 0, %23 ], [ %62, %43 ]
  %45 = phi i64 [ 1, %23 ], [ %60, %43 ]
  %46 = phi i64 [ 0, %23 ], [ %63, %43 ]
  %47 = mul i64 %45, 6364136223846793005
  %48 = add i64 %47, 1442695040888963407
  %49 = getelementptr inbounds i64, ptr %16, i64 %44
  store i64 %48, ptr %49, align 8, !tbaa !5
  %50 = or disjoint i64 %44, 1
  %51 = mul i64 %48, 6364136223846793005
  %52 = add i64 %51, 1442695040888963407
  %53 = getelementptr inbounds i64, ptr %16, i64 %50
  store i64 %52, ptr %53, align 8, !tbaa !5
  %54 = or disjoint i64 %44, 2
  %55 = mul i64 %52, 6364136223846793005
  %56 = add i64 %55, 1442695040888963407
  %57 = getelementptr inbounds i64, ptr %16, i64 %54
  store i64 %56, ptr %57, align 8, !tbaa !5
  %58 = or disjoint i64 %44, 3
  %59 = mul i64 %56, 6364136223846793005
  %60 = add i64 %59, 1442695040888963407
  %61 = getelementptr inbounds i64, ptr %16, i64 %58
  store i64 %60, ptr %61, align 8, !tbaa !5
  %62 = add nuw nsw i64 %44, 4
  %63 = add i64 %46, 4
  %64 = icmp eq i64 %63, %24
  br i1 %64, label %25, label %43, !llvm.loop !11

65:                                               ; preds = %108, %72
  %66 = phi i64 [ %75, %72 ], [ %110, %108 ]
  %67 = add nuw nsw i64 %74, 1
  %68 = icmp eq i64 %76, %12
  br i1 %68, label %69, label %72, !llvm.loop !13

69:                                               ; preds = %65, %39
  %70 = phi i64 [ 0, %39 ], [ %66, %65 ]
  %71 = call i32 (ptr, ...) @printf(ptr noundef nonnull dereferenceable(1) @.str.1, i64 noundef %70)
  call void @free(ptr noundef %16) #5
  br label %113

72:                                               ; preds = %41, %65
  %73 = phi i64 [ 0, %41 ], [ %76, %65 ]
  %74 = phi i64 [ 1, %41 ], [ %67, %65 ]
  %75 = phi i64 [ 0, %41 ], [ %66, %65 ]
  %76 = add nuw nsw i64 %73, 1
  %77 = icmp ult i64 %76, %42
  br i1 %77, label %78, label %65

78:                                               ; preds = %72
  %79 = mul nuw nsw i64 %73, %13
  %80 = getelementptr inbounds i64, ptr %16, i64 %79
  br label %81

81:                                               ; preds = %78, %108
  %82 = phi i64 [ %74, %78 ], [ %111, %108 ]
  %83 = phi i64 [ %75, %78 ], [ %110, %108 ]
  %84 = mul nuw nsw i64 %82, %13
  %85 = getelementptr inbounds i64, ptr %16, i64 %84
  br label %86

86:                                               ; preds = %81, %103
  %87 = phi i64 [ %106, %103 ], [ 0, %81 ]
  %88 = phi i32 [ %105, %103 ], [ 0, %81 ]
  %89 = getelementptr inbounds i64, ptr %80, i64 %87
  %90 = load i64, ptr %89, align 8, !tbaa !5
  %91 = getelementptr inbounds i64, ptr %85, i64 %87
  %92 = load i64, ptr %91, align 8, !tbaa !5
  %93 = icmp eq i64 %90, %92
  br i1 %93, label %103, label %94

94:                                               ; preds = %86
  %95 = xor i64 %92, %90
  br label %96

96:                                               ; preds = %96, %94
  %97 = phi i32 [ %101, %96 ], [ 0, %94 ]
  %98 = phi i64 [ %100, %96 ], [ %95, %94 ]
  %99 = add i64 %98, -1
  %100 = and i64 %99, %98
  %101 = add nuw nsw i32 %97, 1
  %102 = icmp eq i64 %100, 0
  br i1 %102, label %103, label %96, !llvm.loop !14

103:                                              ; preds = %96, %86
  %104 = phi i32 [ 0, %86 ], [ %101, %96 ]
  %105 = add nsw i32 %104, %88
  %106 = add nuw nsw i64 %87, 1
  %107 = icmp eq i64 %106, %13
  br i1 %107, label %108, label %86, !llvm.loop !15

108:                                              ; preds = %103
  %109 = sext i32 %105 to i64
  %110 = add nsw i64 %83, %109
  %111 = add nuw nsw i64 %82, 1
  %112 = icmp eq i64 %111, %12
  br i1 %112, label %65, label %81, !llvm.loop !16

113:                                              ; preds = %69, %11, %0
  %114 = phi i32 [ 1, %0 ], [ 0, %69 ], [ 1, %11 ]
  call void @llvm.lifetime.end.p0(i64 4, ptr nonnull %2) #5
  call void @llvm.lifetime.end.p0(i64 4, ptr nonnull %1) #5
  ret i32 %114
}

; Function Attrs: mustprogress nocallback nofree nosync nounwind willreturn memory(argmem: readwrite)
declare void @llvm.lifetime.start.p0(i64 immarg, ptr nocapture) #1

; Function Attrs: nofree nounwind
declare noundef i32 @__isoc99_scanf(ptr nocapture noundef readonly, ...) local_unnamed_addr #2

; Function Attrs: mustprogress nofree nounwind willreturn allockind("alloc,uninitialized") allocsize(0) memory(inaccessiblemem: readwrite)
declare noalias noundef ptr @malloc(i64 noundef) local_unnamed_addr #3

; Function Attrs: mustprogress nocallback nofree nosync nounwind willreturn memory(argmem: readwrite)
declare void @llvm.lifetime.end.p0(i64 immarg, ptr nocapture) #1

; Function Attrs: nofree nounwind
declare noundef i32 @printf(ptr nocapture noundef readonly, ...) local_unnamed_addr #2

; Function Attrs: mustprogress nounwind willreturn allockind("free") memory(argmem: readwrite, inaccessiblemem: readwrite)
declare void @free(ptr allocptr nocapture noundef) local_unnamed_addr #4

attributes #0 = { nounwind uwtable "min-legal-vector-width"="0" "no-trapping-math"="true" "stack-protector-buffer-size"="8" "target-cpu"="x86-64" "target-features"="+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+x87" "tune-cpu"="generic" }
attributes #1 = { mustprogress nocallback nofree nosync nounwind willreturn memory(argmem: readwrite) }
attributes #2 = { nofree nounwind "no-trapping-math"="true" "stack-protector-buffer-size"="8" "target-cpu"="x86-64" "target-features"="+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+x87" "tune-cpu"="generic" }
attributes #3 = { mustprogress nofree nounwind willreturn allockind("alloc,uninitialized") allocsize(0) memory(inaccessiblemem: readwrite) "alloc-family"="malloc" "no-trapping-math"="true" "stack-protector-buffer-size"="8" "target-cpu"="x86-64" "target-features"="+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+x87" "tune-cpu"="generic" }
attributes #4 = { mustprogress nounwind willreturn allockind("free") memory(argmem: readwrite, inaccessiblemem: readwrite) "alloc-family"="malloc" "no-trapping-math"="true" "stack-protector-buffer-size"="8" "target-cpu"="x86-64" "target-features"="+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+x87" "tune-cpu"="generic" }
attributes #5 = { nounwind }
attributes #6 = { nounwind allocsize(0) }

!llvm.module.flags = !{!0, !1, !2, !3}
!llvm.ident = !{!4}

!0 = !{i32 1, !"wchar_size", i32 4}
!1 = !{i32 8, !"PIC Level", i32 2}
!2 = !{i32 7, !"PIE Level", i32 2}
!3 = !{i32 7, !"uwtable", i32 2}
!4 = !{!"Debian clang version 19.1.7 (3~deb12u1)"}
!5 = !{!6, !6, i64 0}
!6 = !{!"long", !7, i64 0}
!7 = !{!"omnipotent char", !8, i64 0}
!8 = !{!"Simple C/C++ TBAA"}
!9 = distinct !{!9, !10}
!10 = !{!"llvm.loop.unroll.disable"}
!11 = distinct !{!11, !12}
!12 = !{!"llvm.loop.mustprogress"}
!13 = distinct !{!13, !12}
!14 = distinct !{!14, !12}
!15 = distinct !{!15, !12}
!16 = distinct !{!16, !12}
